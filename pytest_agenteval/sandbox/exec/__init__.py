"""Commands and files in a running container, through one channel that stays open, with plain `docker exec` as fallback.

A channel that closes gives errors, never results.
"""
