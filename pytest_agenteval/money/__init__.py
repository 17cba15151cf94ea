"""What model calls cost, what a call can cost at most, and the budget of a run: US dollars, no Inspect, no pytest."""
