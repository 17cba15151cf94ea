"""The three verdicts of a gate."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Verdict"]


class Verdict(StrEnum):
    """What a gate says about a run."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDECIDED = "UNDECIDED"
    """The attempts so far do not settle it: both PASS and FAIL are possible."""
