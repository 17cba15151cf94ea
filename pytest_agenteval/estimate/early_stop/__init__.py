"""Finds the attempts that can still change a verdict, exactly, and the order in which they are worth running.

Pure; `run` and `plan` use it. Everything raises ValueError for a task, an attempt or a gate that its grid does not
have, for an attempt that was entered before, and for numbers that make no sense.
"""
