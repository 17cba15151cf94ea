"""pytest's side of attempts: one try with its fixtures, the pumped event loop, the order in which attempts start.

Nothing here knows about Inspect, models, money or containers: the engine is a Protocol in `pump.py`.
"""
