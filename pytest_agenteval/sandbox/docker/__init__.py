"""The Docker daemon: its address, its API, containers as they are created, and the reaper of those left behind.

What a task asks for is turned into such containers in `sandbox/asked`.
"""
