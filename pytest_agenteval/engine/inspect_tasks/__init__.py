"""Foreign Inspect tasks as agent tasks: found by name, loaded, run with their own solver and scorers.

How they become pytest items belongs to `session`.
"""
