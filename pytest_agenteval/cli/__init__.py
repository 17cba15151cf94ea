"""The console script `pytest-agenteval`: one module for each of its commands.

A command reads its arguments, calls the steps and prints the results; it decides nothing itself.
"""
