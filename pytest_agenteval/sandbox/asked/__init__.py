"""What a task asks of its sandbox: a name, an image, a compose file, limits; refused where it cannot be had.

Nothing here talks to a container.
"""
