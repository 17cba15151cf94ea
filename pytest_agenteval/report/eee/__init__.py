"""Stored attempts in formats of other tools.

Every Eval Ever (schema 0.3.0): `identity` decides where a cell's files go, `messages` and `rows` turn an attempt into a
row, `results` and `about` make the aggregate of a cell, and `eee` puts them together.
"""
