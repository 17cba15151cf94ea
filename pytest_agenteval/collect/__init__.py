"""Turns tests into agent tasks: finds them, reads their options and fixtures, and divides them into shards.

Only `items.py` may use private pytest API. Nothing here runs an attempt or knows about models.
"""
