"""Stored attempts in formats that others read.

Every Eval Ever (schema 0.3.0): `identity` says where a cell's files go, `messages` and `rows` make one row of an
attempt, `results` and `about` the aggregate of a cell, and `eee` puts them together.
"""
