"""Random runs that are cut into shards, of which some are lost, doubled, or lie among those of other runs.

What a merge says of them is held against the whole run, and where shards are lost, against ways in which they could
have ended. Those are sampled, with the best and the worst among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random

from pytest_agenteval.judge import GateSettings, Verdict
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.merge import merge
from pytest_agenteval.record.records import AttemptRecord, Cell
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.runs import stored_runs
from pytest_agenteval.record.shards import shard_of
from pytest_agenteval.record.stored import StoredLog, StoredTask
from pytest_agenteval.record.tool_calls import ToolCalls
from support.made_records import CELL, OTHER, attempt, tool_call

__all__ = ["Case", "wrong"]

Grid = Mapping[StoredTask, Sequence[AttemptRecord]]
DECIDED = (Verdict.PASS, Verdict.FAIL)


@dataclass(frozen=True)
class Case:
    """A run, the thresholds it is judged by, and the logs that somebody merges."""

    grid: Grid
    shards: int
    lost: frozenset[int]
    logs: tuple[StoredLog, ...]
    gates: GateSettings
    baseline: EarlierRun | None
    k: int

    @property
    def is_whole(self) -> bool:
        return not any(shard_of(task.key[0], self.shards) in self.lost for task in self.grid)

    def merged(self) -> Judgement:
        run = stored_runs(self.logs)[0]
        found = merge(run.logs)
        return judge_run(found.records, self.gates, incomplete=found.incomplete, baseline=self.baseline)

    def whole(self, grid: Grid) -> Judgement:
        [log] = _logs(grid, _identity("whole"), None, hour=1, k=self.k, one_suite=True)
        found = merge([log])
        return judge_run(found.records, self.gates, incomplete=found.incomplete, baseline=self.baseline)

    def endings(self, random: Random) -> Iterator[Grid]:
        """Ways in which what is lost could have ended."""
        for letters, dear, failures in (("p", 0.0, 0), ("f", 0.0, 40), ("p", 9.0, 0), ("f", 9.0, 40), ("pf", 0.1, 3)):
            yield {
                task: [_attempt(random.choice(letters), n, dear, failures) for n in range(1, self.k + 1)]
                if shard_of(task.key[0], self.shards) in self.lost
                else attempts
                for task, attempts in self.grid.items()
            }


def made(random: Random) -> Case:
    """A case. The run's own logs are newer than those of the runs that they lie among."""
    k, shards = random.randint(1, 4), random.randint(1, 4)
    cells = [CELL, OTHER][: random.choice([1, 1, 1, 2])]
    grid = _grid(random, k, cells)
    lost = frozenset(part for part in range(1, shards + 1) if random.random() < 0.4)
    named = random.random() < 0.7
    own = _sharded(grid, shards, "ours", named=named, hour=10, k=k)
    kept = [log for log in own if log.shard is None or log.shard[0] not in lost]
    if not kept:
        lost, kept = frozenset(), own
    doubled = [replace(log, path=f"copy/{log.path}") for log in kept if random.random() < 0.3]
    others = [log for number in range(random.randint(0, 3)) for log in _another(random, grid, shards, number, k, named)]
    logs = [*kept, *doubled, *others]
    random.shuffle(logs)
    return Case(grid, shards, lost, tuple(logs), _gates(random), _baseline(random, grid), k)


def wrong(random: Random) -> str | None:
    """What is wrong with the verdict on a random case, in a sentence; None if nothing is."""
    case = made(random)
    merged = case.merged()
    if case.is_whole:
        return _unequal(merged, case.whole(case.grid))
    if merged.status.code == 0:
        return "a run without some of its shards ended with 0"
    found = {(gate.name, gate.cell, gate.task): gate.verdict for gate in merged.gates if gate.verdict in DECIDED}
    for grid in case.endings(random):
        ended = case.whole(grid)
        verdicts = {(gate.name, gate.cell, gate.task): gate.verdict for gate in ended.gates}
        for name, verdict in found.items():
            if verdicts[name] is not verdict:
                return f"{name} was {verdict}, and the lost shards could have made it {verdicts[name]}"
        if merged.status.code == 1 and ended.status.code != 1:
            return f"exit 1 ({merged.status.reason}), and the lost shards could have made it {ended.status.code}"
    return None


def _unequal(merged: Judgement, whole: Judgement) -> str | None:
    def told(judgement: Judgement) -> tuple[object, ...]:
        gates = {(gate.name, gate.cell, gate.task): gate for gate in judgement.gates}
        return judgement.status.code, judgement.status.verdict, gates

    if told(merged) != told(whole):
        return f"nothing is lost, and the merge says {merged.status.reason}, the whole {whole.status.reason}"
    return None


def _grid(random: Random, k: int, cells: Sequence[Cell]) -> Grid:
    grid = {}
    for number in range(random.randint(1, 8)):
        suite, rate = random.choice(["t.py", "u.py"]), random.choice([0.0, 0.3, 0.8, 1.0])
        own = random.choice([None, None, 0.5])
        for cell in cells:
            task = _task(f"{suite}::test_{number}", cell, min_pass_rate=own)
            letters = [random.choice("plfeb" if random.random() < 0.05 else "f") for _ in range(k)]
            letters = ["p" if random.random() < rate else letter for letter in letters]
            grid[task] = [_attempt(letter, n, random.choice([0.0, 0.1]), 1) for n, letter in enumerate(letters, 1)]
    return grid


def _task(name: str, cell: Cell, source: str = "one", min_pass_rate: float | None = None) -> StoredTask:
    return _Task(name, cell, min_pass_rate, source=source, identity={"the test's body": source}, name=name)


class _Task(StoredTask):
    """One that can be a key."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(self.key)


def _attempt(letter: str, number: int, cost: float, failures: int) -> AttemptRecord:
    calls = (*(tool_call("timeout") for _ in range(failures)), tool_call(), tool_call())
    return attempt(letter, number, cost, tool_calls=calls, run="ours", ended=f"2026-01-01T10:{number:02}:00+00:00")


def _identity(name: str, *, named: bool = True, commit: str = "c0") -> RunIdentity:
    return RunIdentity(name, named=named, commit=commit)


def _logs(
    grid: Grid,
    identity: RunIdentity,
    shard: tuple[int, int] | None,
    *,
    hour: int,
    k: int,
    setup: str = "",
    one_suite: bool = False,
) -> list[StoredLog]:
    """A log for each suite that the shard has a task of."""
    roll = tuple(grid)
    mine = [task for task in roll if shard is None or shard_of(task.key[0], shard[1]) == shard[0]]
    session = identity.run if shard is None else f"{identity.run}-{shard[0]}"

    def suite_of(task: StoredTask) -> str:
        return "all" if one_suite else task.task.partition("::")[0]

    return [
        StoredLog(
            path=f"{session}-{suite}.eval",
            run=session,
            invocation=session,
            created=f"2026-01-01T{hour:02}:{0 if shard is None else shard[0]:02}:00+00:00",
            k=k,
            ended=True,
            tasks=(tasks := tuple(found)),
            attempts=tuple((task.task, replace(each, run=session)) for task in tasks for each in grid[task]),
            setup=setup,
            shard=shard,
            roll=roll,
            suite=suite,
            identity=identity,
        )
        for suite, found in groupby(sorted(mine, key=suite_of), suite_of)
    ]


def _sharded(
    grid: Grid, shards: int, name: str, *, named: bool, hour: int, k: int, setup: str = "", commit: str = "c0"
) -> list[StoredLog]:
    found = []
    for part in range(1, shards + 1):
        identity = _identity(name if named else f"{name}-{part}", named=named, commit=commit)
        found += _logs(grid, identity, (part, shards), hour=hour, k=k, setup=setup)
    return found


def _another(random: Random, grid: Grid, shards: int, number: int, k: int, named: bool) -> list[StoredLog]:
    """Shards of another run, in which everything passes. Without a name only what differs can tell them apart."""
    what = random.choice(["name", "commit", "body", "setup", "k"] if named else ["commit", "body", "k"])
    passing: Grid = {
        _task(task.task, task.cell, "two" if what == "body" else "one", task.min_pass_rate): [
            _attempt("p", n, 0.0, 0) for n in range(1, k + 1)
        ]
        for task in grid
    }
    name = f"other-{number}" if what == "name" or not named else "ours"
    found = [
        replace(log, run=f"{number}-{log.run}", invocation=f"{number}-{log.run}", path=f"{number}-{log.path}")
        for log in _sharded(
            passing,
            shards,
            name,
            named=named,
            hour=1 + number,
            k=k + (what == "k"),
            setup="warm" if what == "setup" else "",
            commit="c1" if what == "commit" else "c0",
        )
    ]
    return [log for log in found if random.random() < 0.7]


def _gates(random: Random) -> GateSettings:
    def perhaps(*values: float) -> float | None:
        return random.choice([None, *values])

    return GateSettings(
        min_pass_at_1=perhaps(0.0, 0.3, 0.5, 0.75, 1.0),
        min_pass_k=perhaps(0.0, 0.25, 0.5, 1.0),
        max_cost=perhaps(0.5, 100.0),
        max_cost_per_attempt=perhaps(0.01, 0.05, 1.0),
        max_tool_failure_rate=perhaps(0.0, 0.3, 0.5),
        max_env_error_rate=random.choice([0.05, 0.5]),
    )


def _baseline(random: Random, grid: Grid) -> EarlierRun | None:
    if random.random() < 0.5:
        return None
    before = tuple(
        EarlierAttempt(task.cell, task.task, random.random() < 0.9, 0.1, ToolCalls(3), "one")
        for task in grid
        if random.random() < 0.9
        for _ in range(4)
    )
    return EarlierRun("yesterday", before)
