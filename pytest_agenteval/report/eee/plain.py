"""Texts that can be published, without anything that looks like a key or is not valid JSON text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Clean", "plain"]

Clean = Callable[[str], str]
"""Removes secrets from a text."""


def plain(value: Any, clean: Clean) -> Any:
    """The same JSON value with every text in it made fit to be published, including names of members.

    Lone surrogates, which may occur in a model's output, become question marks, because readers refuse them.
    """
    if isinstance(value, str):
        return clean(value.encode("utf-8", "replace").decode())
    if isinstance(value, Mapping):
        return {plain(name, clean): plain(part, clean) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, clean) for part in value]
    return value
