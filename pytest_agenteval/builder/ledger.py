"""What calls of models have cost: a line before each, a line after it. A call in flight at a kill is lost, and shown.

The lines are data: the sums are pure. Amounts are US dollars.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Ledger", "reserving", "settling"]


@dataclass(slots=True)
class Ledger:
    """The sums of a ledger's lines."""

    spent: float = 0.0
    """What answered calls have cost, as far as that is known."""
    lost: float = 0.0
    """The most that calls without a known cost can have cost: killed in flight, lost answers, no usage, no price."""
    paid: int = 0
    """Calls that were answered."""
    lost_calls: int = 0
    unpriced: int = 0
    """Answered calls without a known price or usage, and without a reservation: they may have cost anything."""
    by_stage: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By class."""

    @classmethod
    def of(cls, lines: Iterable[str]) -> Ledger:
        """The sums of lines; a torn line, which a kill leaves, says nothing."""
        ledger, open_ = cls(), {}
        for text in lines:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if not isinstance(line, dict) or "id" not in line:
                continue
            if line["event"] == "reserve":
                open_[line["id"]] = line
            else:
                ledger.settle(open_.pop(line["id"], line), line)
        for line in open_.values():
            ledger.lost_calls += 1
            ledger.lost += line["at_most"] or 0.0
        return ledger

    def settle(self, reserved: Mapping[str, Any], line: Mapping[str, Any]) -> None:
        """A call has ended."""
        for name, count in (line.get("tokens") or {}).items():
            self.tokens[name] += count or 0
        self.lost += line.get("lost") or 0.0
        if not line["answered"]:
            return
        self.paid += line.get("calls", 1)
        if line["usd"] is not None:
            self.spent += line["usd"]
            self.by_stage[reserved["stage"]] += line["usd"]
        elif reserved.get("at_most") is not None:
            self.lost += reserved["at_most"]
        else:
            self.unpriced += 1

    @property
    def committed(self) -> float:
        """What counts against the budget."""
        return self.spent + self.lost


def reserving(id: str, stage: str, draft: str, at_most: float | None) -> dict[str, Any]:
    """The line before a call; `at_most` is None where no price is known."""
    return {"event": "reserve", "id": id, "stage": stage, "draft": draft, "at_most": at_most}


def settling(
    id: str, usd: float | None, tokens: Mapping[str, int | None] | None, *, answered: bool, lost: float = 0.0,
    calls: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """The line after a call.

    Args:
        id: of the reservation.
        usd: what it cost; None if that is unknown.
        tokens: by class, as far as they are known.
        answered: whether an answer came; a refused call is not billed.
        lost: the most that repeated tries without an answer can have cost.
        calls: how many calls it was.
    """
    return {
        "event": "settle", "id": id, "usd": usd, "tokens": dict(tokens) if tokens else None, "answered": answered,
        "lost": lost, "calls": calls,
    }  # fmt: skip
