"""The exceptions that say, before anything is spent, that a run cannot start."""

__all__ = ["NotAvailable", "NotReady"]


class NotReady(Exception):
    """The run cannot start: one sentence that says why and what to do next. What was asked for is wrong."""


class NotAvailable(NotReady):
    """Nothing is wrong with what was asked for, but it cannot be had now: a daemon, a registry, an image."""
