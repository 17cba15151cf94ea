"""The one exception that says, before anything is spent, that a run cannot start."""

__all__ = ["NotReady"]


class NotReady(Exception):
    """The run cannot start: one sentence that says why and what to do next."""
