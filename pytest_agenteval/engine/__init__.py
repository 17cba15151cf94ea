"""Attempts through Inspect AI, and stored logs read back.

The only folder that imports `inspect_ai`. It never judges: numbers and verdicts are made from its records elsewhere.
"""
