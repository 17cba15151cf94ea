"""The question how sure an agent is, and how strictly its answer is read."""

from __future__ import annotations

import re

from pytest_agenteval.record.conduct import Confidence
from pytest_agenteval.texts import beginning

__all__ = ["ASKING", "QUESTION", "VERSION", "read_answer", "stated"]

ASKING = "confidence"
"""The role in which the agent's model is asked."""
QUESTION = "How likely is it that your solution is correct? Answer with a number from 0 to 100 only."
"""It never tells how the attempt ended."""
VERSION = "1"
"""Of the question: attempts that were asked another one are no attempts at the same task."""

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%?\s*\.?")
_KEPT = 300


def read_answer(text: str) -> Confidence:
    """The confidence in an answer: one number from 0 to 100, perhaps with a per cent sign and a full stop.

    Anything else is no number: `85 or 90`, `ninety`, and a fraction such as `0.95` or `1.0`, which could be meant as a
    share or as per cent. No default takes its place.
    """
    answer = beginning(text.strip(), _KEPT)
    found = _PERCENT.fullmatch(text.strip())
    value = None if found is None else float(found[1])
    if value is not None and (value > 100 or (0 < value <= 1 and "." in answer)):
        value = None
    return Confidence(value, answer)


def stated(share: float) -> Confidence:
    """The confidence that an own agent gives as a share.

    Raises:
        ValueError: it does not lie between 0 and 1.
    """
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"attempt.confidence = {share!r} must be a number between 0 and 1, for example 0.8")
    return Confidence(100.0 * share, repr(share))
