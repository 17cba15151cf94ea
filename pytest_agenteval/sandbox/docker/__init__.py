"""The Docker daemon: its address, its API, the creation of containers, and the reaper of those left behind.

`sandbox/asked` turns a task's requests into such containers.
"""
