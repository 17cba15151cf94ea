"""Values on the command line of the console script, parsed and refused like pytest's options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

__all__ = ["checked"]

T = TypeVar("T")


def checked(parse: Callable[[str], T]) -> Callable[[str], T]:
    """A function of :mod:`pytest_agenteval.options.values` in the form that argparse needs."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} {error}") from None

    return parsed
