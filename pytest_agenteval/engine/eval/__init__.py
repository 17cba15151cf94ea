"""One Inspect eval for a session: how attempts are submitted to it, and the result of one attempt with its tries.

What is decided before it starts belongs to `plan`.
"""
