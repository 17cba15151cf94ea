"""pytest's side of attempts: one try with its fixtures, the loop that is pumped, the order in which attempts start.

Nothing here knows of Inspect, models, money or containers: the engine is a Protocol of `pump.py`.
"""
