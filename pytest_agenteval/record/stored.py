"""What the logs of earlier invocations hold: tasks as they were then, and all attempts at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_agenteval.record.holdout import Look
from pytest_agenteval.record.perturbed import Perturbed
from pytest_agenteval.record.records import AttemptRecord, Cell, name_of
from pytest_agenteval.record.run_identity import RunIdentity

__all__ = ["MOST_K", "StoredLog", "StoredTask", "differences", "lent_to", "runs_with"]

MOST_K = 10_000
"""The highest k that a log may state. A larger number means damage, or an attempt to keep the plugin busy."""


def differences(stored: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the changed parts, in the order of the current ones. A part that only one side has is changed."""
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
    """Digests of everything that defines the task, by the name of the part; empty if unknown."""
    doubts: tuple[str, ...] = ()
    """Why the identity may be incomplete, one sentence each."""
    limits: Mapping[str, float | None] = field(default_factory=dict)
    """The agent's limits per attempt, by the names of the mark's options; None means no limit."""
    expected_failure: bool = False
    """Whether pytest expects it to fail (`xfail`)."""
    strict: bool = False
    """Whether passing is a failure when it is expected to fail."""
    held_out: bool = False
    """Whether it was held out then."""
    name: str | None = None
    """Its name without the cell; None in logs written before names were stored."""
    perturbed: Perturbed | None = None
    """Which perturbation of which task it is; None for the base."""

    @property
    def home(self) -> str:
        """The name that decides its shard: a perturbed task runs where its base does."""
        return name_of(self) if self.perturbed is None else self.perturbed.of

    @property
    def key(self) -> tuple[str, Cell]:
        """The same in all runs, of one cell or of several."""
        return name_of(self), self.cell


@dataclass(frozen=True, slots=True)
class StoredLog:
    """One log: the tasks of one suite with one model, in one invocation of a run."""

    path: str
    run: str
    invocation: str
    """The pytest session that wrote it. A resumed run has several."""
    created: str
    """When it was started (ISO 8601, UTC)."""
    k: int
    ended: bool
    """Whether its invocation finished; False after Ctrl-C, `kill -9` and the like."""
    tasks: tuple[StoredTask, ...]
    attempts: tuple[tuple[str, AttemptRecord], ...] = ()
    """(task, record) for all attempts, finished or not; each record has the number it had then."""
    early_stop: str | None = None
    setup: str = ""
    """How the models were configured."""
    shard: tuple[int, int] | None = None
    """(part, number of parts), counted from 1."""
    shard_sizes: tuple[int, ...] = ()
    """How many tasks each part has, in logs written before there was a roll; empty if unknown."""
    roll: tuple[StoredTask, ...] = ()
    """All tasks that its invocation had to run, those of other suites and shards too; empty if unknown."""
    suites: Mapping[str, int] = field(default_factory=dict)
    """How many tasks each suite of the invocation had, in all cells. Suites that never began have no log."""
    suite: str = ""
    lent: bool = False
    """Whether it belongs to another run, which lends the attempts that count."""
    took: tuple[str, ...] = ()
    """The other runs whose attempts it took (`--agent-top-up`)."""
    errors: tuple[str, ...] = ()
    """What pytest met around attempts, such as an error in the teardown of a shared fixture: failed tests, to it."""
    aside: Mapping[str, str] = field(default_factory=dict)
    """Tasks that pytest skipped or could not set up: those without an attempt are not judged. With the reason, which
    is empty where `errors` has it."""
    identity: RunIdentity | None = None
    """What the run is called on all machines; None in logs written before runs had a name."""
    look: Look | None = None
    """Which look at its held-out tasks the run was; None if it had none."""
    killed: bool = False
    """Whether nobody closed it, as after `kill -9`: the attempts in flight at that moment left nothing in it."""

    @property
    def given(self) -> tuple[tuple[str, AttemptRecord], ...]:
        """The attempts that it contributes. What a lending run began and did not finish belongs to that run."""
        return tuple(each for each in self.attempts if not self.lent or each[1].outcome.counts)


def lent_to(run: Sequence[StoredLog], store: Iterable[StoredLog]) -> list[StoredLog]:
    """The logs of other runs whose attempts a run took, each reduced to the tasks that are the same in both.

    Logs of runs that stopped early lend nothing: outcomes decided which attempts those ran.

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


def runs_with(
    logs: Iterable[StoredLog], tasks: Collection[str], *, held_out: bool | None = None
) -> dict[str, set[str]]:
    """By task, the runs of the store in which real agents met it. A run is one look, however many cells it has.

    Args:
        logs: their headers are enough.
        tasks: names without the cell. Tasks that no run has are left out of the result.
        held_out: count only runs in which the task was held out, or only those in which it was not; None counts all.
    """
    found: dict[str, set[str]] = {}
    for log in logs:
        for task in log.tasks:
            name = name_of(task)
            if name in tasks and not task.cell.rehearsed and held_out in (None, task.held_out):
                found.setdefault(name, set()).add(_run_of(log))
    return found


def _run_of(log: StoredLog) -> str:
    return log.identity.run if log.identity is not None and log.identity.named else log.run
