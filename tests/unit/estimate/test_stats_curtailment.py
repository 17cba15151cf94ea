"""When a verdict is fixed: against every way to finish small grids, and against the range over missing attempts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_agenteval.estimate.early_stop.curtailment import Curtailment
from pytest_agenteval.estimate.early_stop.gates import GridGate, PassAt1, PassHatK, TaskPassRate
from pytest_agenteval.estimate.stats.missing import pass_at_1_range, pass_hat_k_range
from pytest_agenteval.record.verdict import Verdict

untimed = settings(deadline=None, max_examples=200)
Row = tuple[bool | None, ...] | str
"""The outcomes of a task's attempts so far, or `skipped`."""
SKIPPED = "skipped"
THRESHOLDS = (0.0, 0.25, 0.3, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.9, 1.0)
OUTCOMES = (True, False, None)


def verdict_of_finished(gate: GridGate, grid: dict[str, Row]) -> Verdict:
    """The verdict on a finished grid, by counting in fractions."""
    if isinstance(gate, TaskPassRate):
        grid = {gate.task: grid[gate.task]}
    rows = [row for row in grid.values() if not isinstance(row, str)]
    if not any(outcome is not None for row in rows for outcome in row):
        return Verdict.UNDECIDED

    def rate(missing: bool) -> float:
        filled = [[missing if outcome is None else outcome for outcome in row] for row in rows]
        if isinstance(gate, PassHatK):
            return float(Fraction(sum(all(row) for row in filled), len(filled)))
        return float(Fraction(sum(map(sum, filled)), sum(map(len, filled))))

    if rate(missing=False) >= gate.threshold:
        return Verdict.PASS
    return Verdict.FAIL if rate(missing=True) < gate.threshold else Verdict.UNDECIDED


def ways_to_finish(row: Row, k: int) -> Iterator[Row]:
    if isinstance(row, str):
        yield row
        return
    for rest in product(OUTCOMES, repeat=k - len(row)):
        yield (*row, *rest)
    if len(row) < k and all(outcome is None for outcome in row):
        yield SKIPPED


def recorded(grid: dict[str, Row], k: int, gates: list[GridGate]) -> Curtailment:
    state = Curtailment(list(grid), k, gates)
    for task, row in grid.items():
        if isinstance(row, str):
            state.skip(task)
        else:
            for attempt, outcome in enumerate(row, 1):
                state.record(task, attempt, outcome)
    return state


@st.composite
def begun_grids(draw: st.DrawFn) -> tuple[int, dict[str, Row]]:
    k = draw(st.integers(1, 3))
    tasks = draw(st.integers(1, 3 if k < 3 else 2))
    row = st.one_of(st.lists(st.sampled_from(OUTCOMES), max_size=k).map(tuple), st.just(SKIPPED))
    return k, {f"t{i}": draw(row) for i in range(tasks)}


def every_begun_grid(tasks: int, k: int) -> Iterator[dict[str, Row]]:
    """Every state of a grid, up to the order of tasks and attempts."""
    rows: list[Row] = [row for n in range(k + 1) for row in combinations_with_replacement(OUTCOMES, n)]
    for state in combinations_with_replacement([*rows, SKIPPED], tasks):
        yield {f"t{i}": row for i, row in enumerate(state)}


@pytest.mark.parametrize(("tasks", "k"), [(1, 4), (2, 3), (3, 2), (4, 1)])
def test_a_verdict_is_fixed_just_when_every_way_to_finish_leads_to_it(tasks: int, k: int):
    left_open = 0
    for grid in every_begun_grid(tasks, k):
        finished = [
            dict(zip(grid, rows, strict=True)) for rows in product(*(ways_to_finish(row, k) for row in grid.values()))
        ]
        # Only where a task has shown nothing but missing attempts may a verdict that is certain be left open.
        silent = any(
            not isinstance(row, str) and 0 < len(row) < k and all(outcome is None for outcome in row)
            for row in grid.values()
        )
        for threshold in (0.0, 0.3, 0.5, 0.6, 0.75, 1.0):
            gates: list[GridGate] = [PassHatK(threshold), PassAt1(threshold), TaskPassRate("t0", threshold)]
            state = recorded(grid, k, gates)
            for gate in gates:
                verdicts = {verdict_of_finished(gate, way) for way in finished}
                fixed = state.verdict(gate)
                if fixed is not None:
                    assert verdicts == {fixed}
                elif len(verdicts) == 1:
                    assert silent
                    left_open += 1
            assert state.decided == all(state.verdict(gate) is not None for gate in gates)
    assert left_open < 100


@untimed
@given(begun_grids(), st.sampled_from(THRESHOLDS))
def test_a_fixed_verdict_is_that_of_counting_open_attempts_as_missing(
    begun: tuple[int, dict[str, Row]], threshold: float
):
    k, grid = begun
    gates: list[GridGate] = [PassHatK(threshold), PassAt1(threshold)]
    state = recorded(grid, k, gates)
    counts = [
        (sum(x is not None for x in row), sum(x is True for x in row), k - sum(x is not None for x in row))
        for row in grid.values()
        if not isinstance(row, str)
    ]
    for gate, shown in zip(gates, (pass_hat_k_range(counts, k), pass_at_1_range(counts)), strict=True):
        fixed = state.verdict(gate)
        assert fixed is None or shown.verdict(threshold) is fixed


def test_pass_hat_k_fails_as_soon_as_too_many_tasks_have_failed_once():
    gate = PassHatK(0.6)
    state = Curtailment(["a", "b", "c", "d", "e"], 8, [gate])
    for task in "ab":
        state.record(task, 1, False)
        assert state.verdict(gate) is None
    state.record("c", 1, False)
    assert state.verdict(gate) is Verdict.FAIL


def test_pass_hat_k_passes_as_soon_as_enough_tasks_have_passed_k_times():
    gate = PassHatK(0.5)
    state = Curtailment(["a", "b", "c"], 2, [gate])
    for task, attempt in (("a", 1), ("a", 2), ("b", 2)):
        state.record(task, attempt, True)
        assert state.verdict(gate) is None
    state.record("b", 1, True)
    assert state.verdict(gate) is Verdict.PASS


def test_a_missing_attempt_leaves_its_task_able_to_fail_but_not_to_pass():
    gate = PassHatK(1.0)
    state = Curtailment(["a", "b"], 2, [gate])
    state.record("a", 1, True)
    state.record("a", 2, None)
    assert state.verdict(gate) is None
    state.record("b", 1, True)
    state.record("b", 2, True)
    assert state.verdict(gate) is Verdict.UNDECIDED


def test_a_task_of_nothing_but_missing_attempts_may_yet_turn_out_to_be_skipped():
    for gate in (PassHatK(0.5), PassAt1(0.5)):
        state = Curtailment(["a", "b", "c"], 2, [gate])
        for task, attempt, passed in (("a", 1, True), ("a", 2, True), ("b", 1, None), ("b", 2, None), ("c", 1, None)):
            state.record(task, attempt, passed)
        assert state.verdict(gate) is None
        state.skip("c")
        assert state.verdict(gate) is Verdict.PASS


def test_a_task_gate_is_fixed_by_its_own_attempts():
    gate = TaskPassRate("a", 0.75)
    state = Curtailment(["a", "b"], 4, [gate])
    state.record("b", 1, False)
    state.record("a", 1, False)
    assert state.verdict(gate) is None
    state.record("a", 4, False)
    assert state.verdict(gate) is Verdict.FAIL
    assert state.decided


def test_a_skipped_task_leaves_the_grid():
    gate = PassHatK(1.0)
    state = Curtailment(["a", "b"], 1, [gate])
    state.skip("a")
    state.record("b", 1, True)
    assert state.verdict(gate) is Verdict.PASS
    state.record("a", 1, False)


def test_nothing_but_skipped_tasks_is_undecided():
    gates = [PassHatK(0.0), PassAt1(0.0), TaskPassRate("a", 0.0)]
    state = Curtailment(["a"], 1, gates)
    assert not state.decided
    state.skip("a")
    assert [state.verdict(gate) for gate in gates] == [Verdict.UNDECIDED] * 3


def test_no_tasks_at_all_are_undecided():
    state = Curtailment([], 3, [PassHatK(0.5), PassAt1(0.5)])
    assert state.decided
    assert state.verdict(PassAt1(0.5)) is Verdict.UNDECIDED


def test_without_gates_everything_is_decided():
    assert Curtailment(["a"], 3, []).decided


def test_what_no_grid_can_be_is_refused():
    with pytest.raises(ValueError, match="k = 0"):
        Curtailment(["a"], 0, [])
    with pytest.raises(ValueError, match="in the grid twice"):
        Curtailment(["a", "a"], 1, [])
    with pytest.raises(ValueError, match="given twice"):
        Curtailment(["a"], 1, [PassHatK(0.5), PassHatK(0.5)])
    with pytest.raises(ValueError, match="b is not in the grid"):
        Curtailment(["a"], 1, [TaskPassRate("b", 0.5)])
    with pytest.raises(ValueError, match=r"threshold of 1\.5"):
        Curtailment(["a"], 1, [PassAt1(1.5)])


def test_what_no_attempt_can_be_is_refused():
    state = Curtailment(["a"], 2, [PassHatK(0.5)])
    with pytest.raises(ValueError, match="b is not in the grid"):
        state.record("b", 1, True)
    for attempt in (0, 3):
        with pytest.raises(ValueError, match=f"no attempt {attempt}"):
            state.record("a", attempt, True)
    state.record("a", 1, True)
    with pytest.raises(ValueError, match="entered before"):
        state.record("a", 1, False)
    with pytest.raises(ValueError, match="is not a gate of this grid"):
        state.verdict(PassAt1(0.5))
