"""What model calls cost, what a call can cost at most, and the budget of a run, in US dollars.

No Inspect and no pytest: calls are token counts here.
"""
