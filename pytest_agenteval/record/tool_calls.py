"""Tool calls added up: how many there were, how many failed, and of how many that is unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_agenteval.record.records import ToolCall

__all__ = ["ToolCallFailures", "ToolCalls"]


@dataclass(frozen=True, slots=True)
class ToolCallFailures:
    """How often calls of one tool failed in one way."""

    tool: str
    type: str
    """Inspect's type of the failure: parsing, timeout, permission, ..."""
    count: int


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """Tool calls and their failures."""

    calls: int = 0
    failures: tuple[ToolCallFailures, ...] = ()
    """The most frequent first."""
    unknown: int = 0
    """How many of the calls have no known result. They do not count as successes."""
    nonzero_exits: int = 0
    """Commands that ran and ended with a non-zero exit status, which is often not a failure."""
    unknown_exits: int = 0
    """Calls for which it is unknown how their command ended, or whether they ran one."""

    @property
    def failed(self) -> int:
        """All failures."""
        return sum(failures.count for failures in self.failures)

    @property
    def rate(self) -> float | None:
        """The share of the calls that failed, or None if there were no calls or the result of one is unknown."""
        return self.failed / self.calls if self.calls and not self.unknown else None

    @property
    def range(self) -> tuple[float, float] | None:
        """The share of the calls that failed, if none of the unknown ones did and if all did; None without a call."""
        return (self.failed / self.calls, (self.failed + self.unknown) / self.calls) if self.calls else None

    @classmethod
    def of(cls, calls: Iterable[ToolCall]) -> ToolCalls:
        """These calls, added up."""
        each = list(calls)
        return cls(
            calls=len(each),
            failures=_ordered(Counter((call.tool, call.error) for call in each if call.error is not None)),
            unknown=sum(not call.failure_known for call in each),
            nonzero_exits=sum(call.error is None and call.exit_code not in (None, 0) for call in each),
            unknown_exits=sum(not call.exit_known for call in each),
        )

    @classmethod
    def sum(cls, parts: Iterable[ToolCalls]) -> ToolCalls:
        """Several sums, added up."""
        each = list(parts)
        failures: Counter[tuple[str, str]] = Counter()
        for part in each:
            failures.update({(failed.tool, failed.type): failed.count for failed in part.failures})
        return cls(
            calls=sum(part.calls for part in each),
            failures=_ordered(failures),
            unknown=sum(part.unknown for part in each),
            nonzero_exits=sum(part.nonzero_exits for part in each),
            unknown_exits=sum(part.unknown_exits for part in each),
        )


def _ordered(counts: Mapping[tuple[str, str], int]) -> tuple[ToolCallFailures, ...]:
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ToolCallFailures(tool, kind, count) for (tool, kind), count in by_count)
