"""What a task requests of its sandbox (a name, an image, a compose file, limits), refused if it is not possible.

Nothing here talks to a container.
"""
