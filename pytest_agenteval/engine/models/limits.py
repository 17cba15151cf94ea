"""The agent's own limits on cost, tokens and turns: what it has used of them, and when it has reached one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_agenteval.collect.agent_task import TaskOptions
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import ModelCall, total_of

__all__ = ["LimitKind", "Reached", "Usage"]

LimitKind = Literal["custom", "cost", "token", "turn"]
"""Inspect's names; `custom` where it is not a limit of the agent's that stops it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that the agent has run into."""

    cause: Cause
    kind: LimitKind
    used: float
    limit: float
    message: str


@dataclass(slots=True)
class Usage:
    """What the agent has used so far of its limits, over all its runs in one try."""

    cost: float | None = 0.0
    """US dollars; None as soon as the cost of one call is unknown."""
    tokens: int | None = 0
    """None as soon as an answer does not say how many it took."""
    turns: int = 0
    seconds: float = 0.0
    uncounted: str | None = None
    """The first model that answered without saying how many tokens it took."""
    unpriced: str | None = None
    """The first model whose answer has no known cost."""

    def add(self, call: ModelCall) -> None:
        """Count an answered call."""
        self.cost = total_of((self.cost, call.cost))
        self.tokens = total_of((self.tokens, call.tokens))
        self.turns += 1
        if call.cost is None:
            self.unpriced = self.unpriced or call.model
            self.uncounted = self.uncounted or (call.model if call.tokens is None else None)

    def untold(self, options: TaskOptions) -> str | None:
        """The limits of which nobody can tell whether they are reached, as a text; None where there are none."""
        if options.max_cost is not None and self.cost is None:
            return "max_cost" if options.token_limit is None else "max_cost and token_limit"
        return "token_limit" if options.token_limit is not None and self.tokens is None else None

    def reached(self, options: TaskOptions, *, spent: bool) -> Reached | None:
        """The limit that stops the agent: before a call one that is used up, after it (`spent`) one that is exceeded.

        Tokens are held here and not by Inspect's `token_limit`, which raises before it says that a call was answered;
        turns because its `turn_limit` lets one call more be paid.
        """
        cost, tokens, turns = options.max_cost, options.token_limit, options.turn_limit
        if cost is not None and self.cost is not None and _over(self.cost, cost, spent):
            message = f"the agent has used up its ${cost:g} of max_cost"
            return Reached(Cause.COST, "cost", self.cost, cost, message)
        if tokens is not None and self.tokens is not None and _over(self.tokens, tokens, spent):
            message = f"the agent has used up its {tokens} tokens of token_limit"
            return Reached(Cause.TOKENS, "token", self.tokens, tokens, message)
        if turns is not None and self.turns >= turns and not spent:
            message = f"the agent has used up its {turns} calls of turn_limit"
            return Reached(Cause.TURNS, "turn", self.turns, turns, message)
        return None


def _over(used: float, limit: float, spent: bool) -> bool:
    return used > limit or (used == limit and not spent)
