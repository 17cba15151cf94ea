"""The `.eval` logs: what is written of an attempt, and how records and conversations are read back.

Which stored attempts still count is decided in `record` and `plan`.
"""
