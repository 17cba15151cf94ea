"""What the logs of earlier invocations hold: tasks as they were then, and every attempt at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_agenteval.record.records import AttemptRecord, Cell, name_of

__all__ = ["MOST_K", "StoredLog", "StoredTask", "differences", "lent_to"]

MOST_K = 10_000
"""No log says that more attempts at a task were asked for: a larger number is damage, or meant to keep us busy."""


def differences(stored: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the parts that have changed, in the order of those now; a part that only one has is changed."""
    return tuple(name for name in dict.fromkeys([*now, *stored]) if stored.get(name) != now.get(name))


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task of a run, in one cell, as it was when it ran."""

    task: str
    """pytest's node id."""
    cell: Cell
    min_pass_rate: float | None = None
    notes: tuple[str, ...] = ()
    source: str | None = None
    """A digest of the test function's source."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Digests of all that makes it this task and no other, by the name of the part; empty where that is not known."""
    doubts: tuple[str, ...] = ()
    """Why the identity may not tell everything, a sentence each."""
    limits: Mapping[str, float | None] = field(default_factory=dict)
    """The agent's limits per attempt, by the names of the mark's options; None is no limit."""
    expected_failure: bool = False
    """Whether pytest expects it to fail (`xfail`)."""
    strict: bool = False
    """Whether it must not pass where it is expected to fail."""
    name: str | None = None
    """Its name without the cell; None in logs that were written before logs had it."""

    @property
    def key(self) -> tuple[str, Cell]:
        """What is the same in all runs, of one cell or of several."""
        return name_of(self), self.cell


@dataclass(frozen=True, slots=True)
class StoredLog:
    """One log: the tasks of one suite with one model, in one invocation of a run."""

    path: str
    run: str
    invocation: str
    """The pytest session that wrote it: a run that was resumed has several."""
    created: str
    """When it was begun (ISO 8601, UTC)."""
    k: int
    ended: bool
    """Whether its invocation came to its own end; False after Ctrl-C, `kill -9` and the like."""
    tasks: tuple[StoredTask, ...]
    attempts: tuple[tuple[str, AttemptRecord], ...] = ()
    """(task, record) of all attempts, finished or not; of each the number that it had."""
    early_stop: str | None = None
    setup: str = ""
    """How the models were set up."""
    shard: tuple[int, int] | None = None
    """Which part of how many it is of, from 1."""
    shard_sizes: tuple[int, ...] = ()
    """How many tasks each part has; empty where that is not known."""
    suites: Mapping[str, int] = field(default_factory=dict)
    """How many tasks each suite of the invocation had, in all cells: suites that never began have no log."""
    suite: str = ""
    lent: bool = False
    """Whether it belongs to another run, which lends the attempts that count."""
    took: tuple[str, ...] = ()
    """The other runs of which it took attempts (`--agent-top-up`)."""
    errors: tuple[str, ...] = ()
    """What pytest met around attempts, such as an error in the teardown of a shared fixture: failed tests, to it."""
    aside: Mapping[str, str] = field(default_factory=dict)
    """Tasks that pytest skipped or could not set up: those without an attempt are not judged. With the reason, which
    is empty where `errors` has it."""
    killed: bool = False
    """Whether nobody closed it, as after `kill -9`: attempts in flight then have left nothing in it."""

    @property
    def given(self) -> tuple[tuple[str, AttemptRecord], ...]:
        """The attempts that it gives to a set: what a lender began and did not finish is the lender's affair."""
        return tuple(each for each in self.attempts if not self.lent or each[1].outcome.counts)


def lent_to(run: Sequence[StoredLog], store: Iterable[StoredLog]) -> list[StoredLog]:
    """The logs of other runs that a run took attempts of, each with the tasks that are the same in both.

    Logs of runs that stopped early lend nothing: which attempts those ran depended on how others ended.

    Args:
        run: the run's own logs, or those of several runs.
        store: all logs.
    """
    own = {log.run for log in run}
    took = {other for log in run for other in log.took} - own
    same = {(task.key, tuple(sorted(task.identity.items()))) for log in run for task in log.tasks if task.identity}
    lent = []
    for log in store:
        if log.run in took and log.early_stop is None:
            shared = tuple(task for task in log.tasks if (task.key, tuple(sorted(task.identity.items()))) in same)
            lent += [replace(log, tasks=shared, suites={}, shard=None, lent=True)] if shared else []
    return lent
