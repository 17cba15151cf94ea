"""Policies: whatever the outcomes, order, history, costs and concurrency, the verdicts are those of the full grid."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.full_grid import FullGrid

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import GridGate, PassAt1, PassHatK, TaskPassRate
from pytest_agenteval.estimate.early_stop.policy import ExactStop, ExactStopAfterFirst, SchedulingPolicy
from pytest_agenteval.estimate.early_stop.replay import expected_attempts, replay
from pytest_agenteval.record.verdict import Verdict

untimed = settings(deadline=None, max_examples=200)
thresholds = st.one_of(st.sampled_from((0.0, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1.0)), st.floats(0, 1))


@dataclass(frozen=True)
class Case:
    """A world: what every attempt would show, and what is asked of it."""

    k: int
    outcomes: dict[str, tuple[bool | None, ...]]
    skipped: frozenset[str]
    gates: tuple[GridGate, ...]
    history: dict[str, tuple[int, int]]
    costs: dict[str, float]
    in_flight: int
    seed: int

    @property
    def tasks(self) -> list[str]:
        return list(self.outcomes)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    k = draw(st.integers(1, 5))
    size = draw(st.integers(1, 7))
    outcome = draw(
        st.sampled_from(
            (
                st.sampled_from((True, False)),
                st.sampled_from((True, True, True, False)),
                st.sampled_from((True, True, True, True, False, None)),
                st.sampled_from((True, None)),
                st.sampled_from((False, None)),
                st.none(),
            )
        )
    )
    tasks = [f"t{i}" for i in range(size)]
    outcomes = {task: tuple(draw(st.lists(outcome, min_size=k, max_size=k))) for task in tasks}
    gates: list[GridGate] = [PassHatK(x) for x in draw(st.lists(thresholds, max_size=2, unique=True))]
    gates += [PassAt1(x) for x in draw(st.lists(thresholds, max_size=2, unique=True))]
    gates += [TaskPassRate(task, draw(thresholds)) for task in draw(st.lists(st.sampled_from(tasks), unique=True))]
    counts = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: (max(pair), min(pair)))
    return Case(
        k,
        outcomes,
        frozenset(draw(st.lists(st.sampled_from(tasks), max_size=2))),
        tuple(draw(st.permutations(gates))),
        draw(st.dictionaries(st.sampled_from(tasks), counts)),
        draw(st.dictionaries(st.sampled_from(tasks), st.floats(0.01, 100))),
        draw(st.integers(1, 9)),
        draw(st.integers(0, 2**32)),
    )


def full_grid_verdict(gate: GridGate, case: Case) -> Verdict:
    rows = [row for task, row in case.outcomes.items() if task not in case.skipped]
    if isinstance(gate, TaskPassRate):
        rows = [] if gate.task in case.skipped else [case.outcomes[gate.task]]
    if not any(outcome is not None for row in rows for outcome in row):
        return Verdict.UNDECIDED
    rates = []
    for missing in (False, True):
        filled = [[missing if outcome is None else outcome for outcome in row] for row in rows]
        each = [all(row) for row in filled] if isinstance(gate, PassHatK) else [x for row in filled for x in row]
        rates.append(float(Fraction(sum(each), len(each))))
    if rates[0] >= gate.threshold:
        return Verdict.PASS
    return Verdict.FAIL if rates[1] < gate.threshold else Verdict.UNDECIDED


def run(policy: SchedulingPolicy, case: Case) -> list[tuple[str, int]]:
    """Drive a policy as an engine would: attempts end in any order, and some are repeated before they end."""
    random = Random(case.seed)
    started: list[tuple[str, int]] = []
    flying: list[tuple[str, int]] = []
    while not policy.finished:
        slots = case.in_flight - len(flying)
        picks = policy.next_attempts(slots)
        assert len(picks) <= slots
        flying += picks
        started += picks
        assert flying, "the policy waits for attempts though none is in flight"
        if random.random() < 0.1:
            continue  # an environment error that is retried: nothing is known, nothing is recorded
        task, attempt = flying.pop(random.randrange(len(flying)))
        if task in case.skipped:
            policy.skip(task)
            flying = [other for other in flying if other[0] != task]
        else:
            policy.record(task, attempt, case.outcomes[task][attempt - 1])
    for task, attempt in flying:  # what was in flight may still end, and changes nothing
        if random.random() < 0.5 and task not in case.skipped:
            policy.record(task, attempt, case.outcomes[task][attempt - 1])
    assert len(started) == len(set(started))
    assert all(1 <= attempt <= case.k for _, attempt in started)
    return started


@untimed
@given(cases())
def test_early_stopped_verdicts_are_those_of_the_full_grid(case: Case):
    for policy_class in (ExactStop, ExactStopAfterFirst):
        state = Curtailment(case.tasks, case.k, case.gates)
        run(policy_class(state, case.history, case.costs), case)
        for gate in case.gates:
            assert state.verdict(gate) is full_grid_verdict(gate, case)


@untimed
@given(cases())
def test_exact_stop_after_first_runs_the_first_attempt_of_every_task(case: Case):
    policy = ExactStopAfterFirst(Curtailment(case.tasks, case.k, case.gates), case.history, case.costs)
    started = run(policy, case)
    assert {task for task, attempt in started if attempt == 1} >= set(case.tasks) - case.skipped


@untimed
@given(cases())
def test_the_full_grid_runs_every_attempt_once(case: Case):
    started = run(FullGrid(case.tasks, case.k), case)
    assert set(started) >= {(t, a) for t in set(case.tasks) - case.skipped for a in range(1, case.k + 1)}


@untimed
@given(cases(), thresholds)
def test_under_pass_hat_k_alone_a_task_has_one_attempt_in_flight_and_none_after_a_failure(case: Case, threshold: float):
    policy = ExactStop(Curtailment(case.tasks, case.k, [PassHatK(threshold)]), case.history, case.costs)
    random = Random(case.seed)
    flying: list[tuple[str, int]] = []
    failed: set[str] = set()
    while not policy.finished:
        flying += (picks := policy.next_attempts(case.in_flight - len(flying)))
        assert max(Counter(task for task, _ in flying).values()) == 1
        assert failed.isdisjoint(task for task, _ in picks)
        task, attempt = flying.pop(random.randrange(len(flying)))
        outcome = case.outcomes[task][attempt - 1]
        policy.record(task, attempt, outcome)
        if outcome is False:
            failed.add(task)


def test_a_task_gate_of_all_attempts_stops_at_the_first_failure():
    outcomes = {"a": (True, False, True, True), "b": (True,) * 4}
    state = Curtailment(["a", "b"], 4, [TaskPassRate("a", 1.0), TaskPassRate("b", 1.0)])
    done = replay(ExactStop(state), lambda task, attempt: outcomes[task][attempt - 1], in_flight=8)
    assert Counter(task for task, _ in done.started) == {"a": 2, "b": 4}


def test_a_task_gate_runs_at_once_what_it_needs_whatever_it_shows():
    policy = ExactStop(Curtailment(["a"], 8, [TaskPassRate("a", 0.5)]))
    assert policy.next_attempts(16) == [("a", attempt) for attempt in (1, 2, 3, 4)]
    assert policy.next_attempts(16) == []


def test_pass_at_1_runs_at_once_what_it_needs_whatever_it_shows():
    policy = ExactStop(Curtailment(["a", "b"], 4, [PassAt1(0.75)]))
    assert len(policy.next_attempts(16)) == 3


def test_a_skipped_task_frees_what_it_had_in_flight():
    policy = ExactStop(Curtailment(["a", "b"], 4, [PassAt1(0.5)]))
    assert policy.next_attempts(16) == [("a", attempt) for attempt in (1, 2, 3, 4)]
    policy.skip("a")
    assert policy.next_attempts(16) == [("b", 1), ("b", 2)]


def test_a_failing_suite_stops_when_enough_tasks_have_failed():
    tasks = [f"t{i}" for i in range(20)]
    state = Curtailment(tasks, 8, [PassHatK(0.5)])
    done = replay(ExactStop(state), lambda task, attempt: False, in_flight=1)
    assert len(done.started) == 11
    assert state.verdict(PassHatK(0.5)) is Verdict.FAIL


def test_a_passing_suite_stops_when_enough_tasks_have_passed_every_time():
    tasks = [f"t{i}" for i in range(20)]
    state = Curtailment(tasks, 8, [PassHatK(0.5)])
    done = replay(ExactStop(state), lambda task, attempt: True, in_flight=1)
    assert len(done.started) == 10 * 8
    assert state.verdict(PassHatK(0.5)) is Verdict.PASS


def test_history_is_believed_for_the_order_and_never_for_the_verdict():
    tasks = [f"t{i}" for i in range(10)]
    bad = {"t8", "t9"}
    truth = {task: (8, 0) if task in bad else (8, 8) for task in tasks}
    lies = {task: (8, 8) if task in bad else (8, 0) for task in tasks}
    attempts = {}
    for name, history in (("none", {}), ("true", truth), ("lies", lies)):
        state = Curtailment(tasks, 8, [PassHatK(0.9)])
        attempts[name] = len(replay(ExactStop(state, history), lambda task, _: task not in bad, in_flight=1).started)
        assert state.verdict(PassHatK(0.9)) is Verdict.FAIL
    assert attempts["true"] == 2 < attempts["none"]
    assert attempts["true"] < attempts["lies"]


def test_of_two_tasks_that_serve_equally_the_cheaper_runs():
    state = Curtailment(["dear", "cheap"], 4, [PassHatK(0.5)])
    assert ExactStop(state, costs={"dear": 2.0, "cheap": 1.0}).next_attempts(1) == [("cheap", 1)]


def test_an_outcome_nobody_asked_for_is_taken():
    state = Curtailment(["a"], 2, [PassHatK(1.0)])
    policy = ExactStop(state)
    policy.record("a", 1, True)
    assert policy.next_attempts(4) == [("a", 2)]


def test_attempts_recorded_before_are_not_run_again():
    state = Curtailment(["a"], 3, [PassHatK(1.0)])
    state.record("a", 2, True)
    policy = ExactStop(state)
    assert policy.next_attempts(1) == [("a", 1)]
    policy.record("a", 1, True)
    assert policy.next_attempts(1) == [("a", 3)]


def test_weights_that_make_no_sense_are_refused():
    state = Curtailment(["a"], 1, [PassHatK(1.0)])
    with pytest.raises(ValueError, match="3 passes in 2 attempts"):
        ExactStop(state, history={"a": (2, 3)})
    with pytest.raises(ValueError, match="give costs above 0"):
        ExactStop(state, costs={"a": 0.0})
    with pytest.raises(ValueError, match="b is not in the grid"):
        ExactStop(state, history={"b": (1, 1)})


def test_expected_attempts_lie_between_the_cheapest_way_and_the_full_grid():
    tasks = [f"t{i}" for i in range(10)]
    expected = expected_attempts(tasks, 8, [PassHatK(0.5)], in_flight=4, simulations=20)
    assert 6 <= expected < 80
    assert expected == expected_attempts(tasks, 8, [PassHatK(0.5)], in_flight=4, simulations=20)
    sure = dict.fromkeys(tasks, (1000, 1000))
    assert expected_attempts(tasks, 8, [PassHatK(0.5)], 1, sure, simulations=20) == pytest.approx(40, abs=1)
    with_first = expected_attempts(
        tasks, 8, [PassHatK(0.5)], 1, sure, lambda state, known: ExactStopAfterFirst(state, known), simulations=20
    )
    assert with_first == pytest.approx(45, abs=1)


def test_a_replay_counts_time_by_what_runs_side_by_side():
    done = replay(FullGrid(["a", "b"], 2), lambda task, attempt: True, 2, lambda task, attempt: 3.0)
    assert done.seconds == 6.0
    assert len(done.started) == 4


def test_a_policy_that_names_nothing_is_an_error_and_not_an_endless_wait():
    class Idle(FullGrid):
        def next_attempts(self, in_flight_slots: int) -> list[tuple[str, int]]:
            return []

    with pytest.raises(RuntimeError, match="none is in flight"):
        replay(Idle(["a"], 1), lambda task, attempt: True, 1)
