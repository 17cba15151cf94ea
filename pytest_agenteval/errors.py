"""The exceptions that say, before anything is spent, that a run cannot start; and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["NotAvailable", "NotReady", "did_you_mean", "nearest"]


class NotReady(Exception):
    """The run cannot start because of a wrong request. The message is one sentence: why, and what to do next."""


class NotAvailable(NotReady):
    """Nothing is wrong with what was asked for, but it cannot be had now: a daemon, a registry, an image."""


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The known name that is most like a mistyped one, or None if none is at least this alike (0 to 1)."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)), None)


def did_you_mean(name: str, known: Iterable[str], otherwise: str, likeness: float = 0.6) -> str:
    """The hint at the end of an error: a question if a known name is near, otherwise the given text."""
    near = nearest(name, known, likeness)
    return otherwise if near is None else f"did you mean {near}?"
