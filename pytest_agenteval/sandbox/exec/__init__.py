"""Commands and files in a running container, through one channel that stays open, with plain `docker exec` behind it.

A channel that closes gives errors, never results.
"""
