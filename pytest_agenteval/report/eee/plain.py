"""Texts that can be published: without what looks like a key, and without what is no text in JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Clean", "plain"]

Clean = Callable[[str], str]
"""Takes what is secret out of a text."""


def plain(value: Any, clean: Clean) -> Any:
    """The same value of JSON with every text in it fit to be published, names of members too.

    Lone surrogates, which a model's output may hold, become question marks: readers refuse them.
    """
    if isinstance(value, str):
        return clean(value.encode("utf-8", "replace").decode())
    if isinstance(value, Mapping):
        return {plain(name, clean): plain(part, clean) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, clean) for part in value]
    return value
