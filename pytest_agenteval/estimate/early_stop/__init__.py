"""Which attempts can still change a verdict, exactly, and in which order they are worth running.

Pure; the run asks it through a Protocol.
"""
