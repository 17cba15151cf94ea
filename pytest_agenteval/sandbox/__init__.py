"""Where an agent works: images, containers, commands in them, and who ended a container.

The only folder that imports `docker`. It knows nothing about Inspect, pytest, tasks and attempts.
"""
