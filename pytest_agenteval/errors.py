"""The exceptions that say, before anything is spent, that a run cannot start."""

__all__ = ["NotAvailable", "NotReady"]


class NotReady(Exception):
    """The run cannot start because of a wrong request. The message is one sentence: why, and what to do next."""


class NotAvailable(NotReady):
    """The request is right, but something is not available now: a daemon, a registry, an image."""
