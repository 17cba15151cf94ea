"""The images of sandboxes: those of the product, those built from the host's packages, and those that tasks bring.

Nothing here starts a container for an attempt.
"""
