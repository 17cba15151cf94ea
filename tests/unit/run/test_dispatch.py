"""Whatever pytest arms when and however attempts end, nobody waits for ever and verdicts are the full grid's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_records import CELL, OTHER

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import PassAt1, PassHatK
from pytest_agenteval.estimate.early_stop.policy import ExactStop, ExactStopAfterFirst
from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.judge import GateSettings, judge
from pytest_agenteval.plan.gates import cell_gates
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, TaskRecord, settle_skips
from pytest_agenteval.run.dispatch import AsTheyCome, Dispatcher, Key, StopWhenDecided

rates = st.one_of(st.sampled_from((0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0)), st.floats(0, 1))


@dataclass(frozen=True)
class World:
    """What every attempt would show, what is asked, and how pytest comes to the tasks."""

    k: int
    outcomes: dict[str, tuple[Outcome, ...]]
    cells: dict[str, Cell]
    own: dict[str, float | None]
    gates: GateSettings
    batches: tuple[tuple[str, ...], ...]
    never: frozenset[str]
    """Tasks that pytest fails to set up, found out when it gets there."""
    places: int
    first: bool
    seed: int

    def policies(self) -> list[ExactStop | ExactStopAfterFirst]:
        made = []
        for cell in dict.fromkeys(self.cells.values()):
            own = {task: self.own[task] for task in self.outcomes if self.cells[task] == cell}
            curtailment = Curtailment(list(own), self.k, cell_gates(own.items(), self.gates))
            made.append((ExactStopAfterFirst if self.first else ExactStop)(curtailment))
        return made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    k, size = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    tasks = [f"t.py::t{i}" for i in range(size)]
    counts = (Outcome.PASSED, Outcome.FAILED)
    letters = draw(
        st.sampled_from((counts, (*counts, Outcome.PASSED), (*counts, Outcome.ENVIRONMENT_ERROR, Outcome.BROKEN)))
    )
    outcomes = {task: tuple(draw(st.lists(st.sampled_from(letters), min_size=k, max_size=k))) for task in tasks}
    for task in draw(st.lists(st.sampled_from(tasks), max_size=2)):
        outcomes[task] = (Outcome.SKIPPED,) * k
    for task in draw(st.lists(st.sampled_from(tasks), max_size=2)):  # skips in some attempts only
        outcomes[task] = (Outcome.SKIPPED, *outcomes[task][1:])
    ends = sorted(draw(st.sets(st.integers(1, size), max_size=3)) | {size})
    batches = tuple(tuple(tasks[a:b]) for a, b in zip([0, *ends], ends, strict=False))
    return World(
        k,
        outcomes,
        {task: draw(st.sampled_from((CELL, OTHER))) for task in tasks},
        {task: draw(st.none() | rates) for task in tasks},
        GateSettings(min_pass_at_1=draw(st.none() | rates), min_pass_k=draw(st.none() | rates)),
        batches,
        frozenset(draw(st.lists(st.sampled_from(tasks), max_size=2))),
        draw(st.integers(1, 6)),
        draw(st.booleans()),
        draw(st.integers(0, 2**32)),
    )


@dataclass
class Run:
    """A run of a dispatcher in a world, as the evaluation and the pump do it."""

    world: World
    dispatcher: Dispatcher
    told: Counter[Key]
    ended: dict[Key, AttemptRecord]
    most_in_flight: int = 0

    def go(self) -> list[TaskRecord]:
        draw = Random(self.world.seed)
        for batch in self.world.batches:
            armed = [task for task in batch if task not in self.world.never]
            for task in batch:
                if task in armed:
                    self.dispatcher.arm(task, range(1, self.world.k + 1))
                elif draw.random() < 0.5:  # found out while arming, else when pytest has come past it
                    self.dispatcher.withdraw(task)
            self._until_ended({(task, n) for task in armed for n in range(1, self.world.k + 1)}, draw)
            for task in set(batch).difference(armed):
                self.dispatcher.withdraw(task)
        return [
            TaskRecord(task, self.world.cells[task], self.world.k, settle_skips(attempts), self.world.own[task])
            for task in self.world.outcomes
            if (attempts := tuple(self.ended[task, n] for n in range(1, self.world.k + 1) if (task, n) in self.ended))
        ]

    def _until_ended(self, waited_for: set[Key], draw: Random) -> None:
        in_flight: list[Key] = []
        while not waited_for <= self.ended.keys():
            decided = self.dispatcher.decided()
            for key in decided:
                self._tell(key, AttemptRecord(key[1], Outcome.NOT_RUN, Cause.DECIDED))
            started = self.dispatcher.next(self.world.places - len(in_flight))
            in_flight += started
            self.most_in_flight = max(self.most_in_flight, len(in_flight))
            assert started or decided or in_flight, "nothing is in flight, and nothing starts"
            if in_flight and not decided:
                self._end(in_flight.pop(draw.randrange(len(in_flight))))
        assert not in_flight

    def _end(self, key: Key) -> None:
        task, number = key
        outcome = self.world.outcomes[task][number - 1]
        self._tell(key, AttemptRecord(number, outcome))
        if outcome is Outcome.SKIPPED:
            self.dispatcher.skipped(key)
        else:
            self.dispatcher.record(key, outcome is Outcome.PASSED if outcome.counts else None)

    def _tell(self, key: Key, record: AttemptRecord) -> None:
        self.told[key] += 1
        self.ended[key] = record


def run(world: World, dispatcher: Dispatcher) -> tuple[Run, list[TaskRecord]]:
    made = Run(world, dispatcher, Counter(), {})
    return made, made.go()


def verdicts(records: list[TaskRecord], gates: GateSettings) -> dict[tuple[object, ...], str]:
    results = judge(summarize(records), gates)
    return {(r.name, r.cell, r.task): r.verdict for r in results if r.name != "--agent-max-env-error-rate"}


@given(worlds())
@settings(deadline=None, max_examples=500)
def test_verdicts_are_those_of_the_full_grid_and_every_attempt_is_told_once(world: World) -> None:
    full, records = run(world, AsTheyCome())
    early, fewer = run(world, StopWhenDecided(world.policies()))
    expected = {(t, n) for t in world.outcomes if t not in world.never for n in range(1, world.k + 1)}
    assert early.told == full.told == Counter(expected)
    assert early.most_in_flight <= world.places
    assert verdicts(fewer, world.gates) == verdicts(records, world.gates)


@given(worlds())
@settings(deadline=None, max_examples=200)
def test_exact_plus_first_runs_the_first_attempt_of_every_task(world: World) -> None:
    world = World(**{f: getattr(world, f) for f in World.__dataclass_fields__ if f != "first"}, first=True)
    early, _ = run(world, StopWhenDecided(world.policies()))
    for task in world.outcomes:
        if task not in world.never:
            assert early.ended[task, 1].cause is not Cause.DECIDED


def policy(tasks: str, k: int, *gates: PassHatK | PassAt1) -> ExactStop:
    return ExactStop(Curtailment(list(tasks), k, gates))


def test_nothing_starts_before_it_is_armed() -> None:
    dispatcher = StopWhenDecided([policy("abc", 2, PassHatK(1.0))])
    assert dispatcher.next(9) == []
    dispatcher.arm("b", range(1, 2 + 1))
    assert dispatcher.next(9) == [("b", 1)]


def test_one_failure_decides_everything_when_all_tasks_must_pass() -> None:
    dispatcher = StopWhenDecided([policy("abc", 8, PassHatK(1.0))])
    for task in "abc":
        dispatcher.arm(task, range(1, 8 + 1))
    [key] = dispatcher.next(1)
    dispatcher.record(key, False)
    assert len(dispatcher.decided()) == 23
    assert dispatcher.next(9) == []
    assert dispatcher.decided() == []


def test_tasks_that_are_armed_now_do_not_wait_for_those_that_come_only_after_them() -> None:
    """pytest arms `b` when `a` has ended, so `a` must end, although its first failure would settle nothing."""
    dispatcher = StopWhenDecided([policy("ab", 2, PassHatK(0.5))])
    dispatcher.arm("a", range(1, 2 + 1))
    assert dispatcher.next(4) == [("a", 1)]
    dispatcher.record(("a", 1), True)
    assert dispatcher.next(4) == [("a", 2)]
    dispatcher.record(("a", 2), True)
    dispatcher.arm("b", range(1, 2 + 1))
    assert dispatcher.decided() == [("b", 1), ("b", 2)]


def test_a_gate_on_pass_at_1_fills_the_places_at_a_barrier() -> None:
    dispatcher = StopWhenDecided([policy("ab", 4, PassAt1(0.5))])
    dispatcher.arm("a", range(1, 4 + 1))
    assert dispatcher.next(3) == [("a", 1), ("a", 2), ("a", 3)]


def test_a_task_that_runs_although_it_was_withdrawn_runs_whole() -> None:
    dispatcher = StopWhenDecided([policy("ab", 2, PassHatK(0.5))])
    dispatcher.withdraw("a")
    dispatcher.arm("a", range(1, 2 + 1))
    assert dispatcher.next(9) == [("a", 1), ("a", 2)]
    dispatcher.record(("a", 1), True)
    assert dispatcher.decided() == []


def test_the_cells_share_the_places_and_the_first_comes_first() -> None:
    """Half of four attempts: two passes, or three failures, so two more are needed whatever they show."""
    dispatcher = StopWhenDecided([policy("ab", 2, PassAt1(0.5)), policy("cd", 2, PassAt1(0.5))])
    for task in "abcd":
        dispatcher.arm(task, range(1, 2 + 1))
    assert [task in "ab" for task, _ in dispatcher.next(3)] == [True, True, False]
