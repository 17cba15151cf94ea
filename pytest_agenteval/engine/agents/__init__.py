"""The agents of attempts: Inspect's, own code, programs in the container, and what test authors call of them.

How a single model call is counted and paid belongs to `engine/models`.
"""
