"""Finds the attempts that can still change a verdict, exactly, and the order in which they are worth running.

Pure; `run` and `plan` use it.
"""
