"""One Inspect eval for a session: how it is fed, and what one attempt with its tries comes to.

What is decided before it starts belongs to `plan`.
"""
