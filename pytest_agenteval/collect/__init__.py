"""Tests become agent tasks: which tests are, what their options and fixtures say, and how they are cut into shards.

Private pytest API may be touched in `items.py` only. Nothing here runs an attempt or knows of models.
"""
