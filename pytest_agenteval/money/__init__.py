"""The cost of model calls, the most that a call can cost, and the budget of a run, all in US dollars.

No Inspect and no pytest: here a call is a set of token counts.
"""
