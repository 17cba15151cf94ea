"""Attempts through Inspect AI: the only sub-package that imports `inspect_ai`."""
