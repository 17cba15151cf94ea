"""Values on the console script's command line: parsed and refused as pytest's options are."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

__all__ = ["checked"]

T = TypeVar("T")


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """One of the functions of :mod:`pytest_agenteval.options.values`, as argparse wants it."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from None

    return parsed
