"""The three things a gate can say."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Verdict"]


class Verdict(StrEnum):
    """What a gate says about a run."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    """The attempts at hand do not settle it: they leave both PASS and FAIL possible."""
