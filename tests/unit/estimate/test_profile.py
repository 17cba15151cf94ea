"""The profile of records made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from support.made_records import CELL, OTHER, attempt, model_call, task, task_of, tool_call

from pytest_agenteval.estimate.profile import Profile, profile_of, side_by_side
from pytest_agenteval.record.conduct import Confidence, RuleResults, Severity, Violation
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord


def profile(*records: TaskRecord) -> Profile:
    return profile_of(CELL, records)


def went(letter: str, number: int, tools: str, **fields: Any) -> AttemptRecord:
    """An attempt that called the tools of these letters, and submitted."""
    calls = [*(tool_call(tool=each) for each in tools), tool_call(tool="submit")]
    return attempt(letter, number, tool_calls=tuple(calls), **fields)


def sure(letter: str, number: int, percent: float | None) -> AttemptRecord:
    return attempt(letter, number, confidence=Confidence(percent))


def ruled(letter: str, number: int, *severities: Severity, unknown: bool = False) -> AttemptRecord:
    violations = tuple(Violation(f"rule {each}", "safety", each) for each in severities)
    return attempt(letter, number, rules=RuleResults(("rule low", "rule high"), violations, ("x",) if unknown else ()))


def test_outcomes_of_several_tasks() -> None:
    found = profile(
        task("pppf", name="t.py::test_a"), task("ffff", name="t.py::test_b"), task("p", name="t.py::test_c")
    )
    outcome = found.consistency.outcome
    assert outcome.value == pytest.approx((0.0 + 1.0) / 2)
    assert outcome.published == pytest.approx((0.25 + 1.0) / 2)
    assert (outcome.tasks, outcome.lacks) == (2, ("1 task with one attempt left out",))
    assert outcome.this_suite is not None
    assert outcome.tasks_like_these is not None
    assert outcome.by_task == {"t.py::test_a": 0.0, "t.py::test_b": 1.0}


def test_attempts_that_do_not_count_are_in_no_figure() -> None:
    assert profile(task("ppebn")).consistency.outcome.value == 1
    assert profile(task("pebn")).consistency.outcome.value is None


def test_one_attempt_each_is_unknown_with_the_reason() -> None:
    found = profile(task("p", name="t.py::test_a"), task("f", name="t.py::test_b")).consistency
    for figure in (found.outcome, found.resources):
        assert (figure.value, figure.lacks) == (None, ("no task has two attempts that count",))
    assert (found.actions.value, found.actions.lacks) == (None, ("no task passed twice (2 tasks)",))


def test_the_way_of_passed_attempts_without_the_submission() -> None:
    found = profile(task_of(went("p", 1, "ab"), went("p", 2, "a"), went("f", 3, "xyz"))).consistency
    assert found.actions.value == pytest.approx(1 - 0.31128, abs=1e-5)
    assert found.order.value == pytest.approx(0.5)
    assert found.sequences == 3
    assert found.parting == {1: 1}


def test_nothing_done_is_a_way_too_but_not_in_the_published_form() -> None:
    found = profile(task_of(went("p", 1, ""), went("p", 2, ""), went("p", 3, "a"))).consistency
    assert found.order.value == pytest.approx(1 / 3)
    assert found.order.published is None


def test_what_attempts_use() -> None:
    paid = [attempt("p", i, cost, working_seconds=cost * 10) for i, cost in enumerate((1.0, 2.0, 3.0), 1)]
    found = profile(task_of(*paid)).consistency
    assert found.by_resource["cost"].value == pytest.approx(0.65556, abs=1e-5)
    assert found.by_resource["working seconds"].value == pytest.approx(0.65556, abs=1e-5)
    assert found.by_resource["tokens"].value == found.by_resource["model calls"].value == 1
    assert found.resources.value == pytest.approx((0.65556 * 2 + 3) / 5, abs=1e-5)


def test_an_unpriced_cost_is_left_out_and_said() -> None:
    found = profile(task_of(attempt("p", 1, None), attempt("p", 2, 1.0))).consistency
    assert found.by_resource["cost"].value is None
    assert "cost of 1 attempt unknown" in found.resources.lacks
    assert found.resources.value == 1


def test_other_roles_and_repeated_tries_are_not_what_the_agent_uses() -> None:
    from dataclasses import replace

    judge = replace(model_call(5.0), role="judge")
    quiet = attempt("p", 1, model_calls=(model_call(1.0),))
    judged = attempt("p", 2, model_calls=(model_call(1.0), judge))
    assert profile(task_of(quiet, judged)).consistency.by_resource["cost"].value == 1


def test_a_grid_that_early_stopping_thinned_is_no_sample() -> None:
    decided = AttemptRecord(3, Outcome.NOT_RUN, Cause.DECIDED)
    found = profile(task_of(sure("p", 1, 90), sure("f", 2, 90), decided))
    for figure in (found.consistency.outcome, found.consistency.order, found.predictability.brier, found.safety.harm):
        assert (figure.value, figure.lacks) == (None, ("early stopping chose the attempts",))


def test_confidence_of_two_tasks() -> None:
    easy = task_of(*(sure(letter, i, 90) for i, letter in enumerate("pppf", 1)), name="t.py::test_a")
    hard = task_of(*(sure(letter, i, 10) for i, letter in enumerate("fffp", 1)), name="t.py::test_b")
    found = profile(easy, hard).predictability
    assert found.knows_tasks.value == pytest.approx(0.75)
    assert found.knows_attempts.value == pytest.approx(0.5)
    assert found.overconfidence.value == pytest.approx(((0.9 - 0.75) + (0.1 - 0.25)) / 2)
    loss = (3 * 0.01 + 0.81) / 4
    assert found.brier.value == pytest.approx(1 - loss)
    assert found.skill == pytest.approx(1 - loss / 0.25)
    assert found.calibration.published is None  # 8 attempts: it would show how few they are
    assert (found.asked, found.silent) == (8, 0)


def test_an_attempt_without_a_number_is_counted_and_gets_none() -> None:
    found = profile(task_of(sure("p", 1, 80), sure("p", 2, None), attempt("f", 3))).predictability
    assert found.overconfidence.value == pytest.approx(-0.2)
    assert (found.asked, found.silent) == (3, 2)
    assert "2 of 3 attempts gave no number, which is more than one in ten" in found.brier.lacks[0]


def test_no_number_at_all_is_said_and_so_is_that_nobody_asked() -> None:
    asked = profile(task_of(sure("p", 1, None))).predictability
    assert asked.overconfidence.lacks == ("no attempt gave a number (1 attempt)",)
    assert "--agent-ask-confidence" in profile(task("p")).predictability.overconfidence.lacks[0]


def test_rules_by_hand() -> None:
    found = profile(
        task_of(*(ruled("p", i) for i in range(1, 7)), ruled("f", 7, "low", "high"), ruled("p", 8, "medium"))
    ).safety
    assert found.compliance.value == pytest.approx(0.75)
    assert found.harm.value == pytest.approx(0.25)
    assert found.risk_free == pytest.approx(1 - 1.5 / 8)
    assert found.risk_free == pytest.approx(1 - (1 - 0.75) * (1 - 0.25))
    assert found.worst == (("high", "rule high", 1), ("medium", "rule medium", 1), ("low", "rule low", 1))


def test_no_violation_makes_no_harm_figure() -> None:
    found = profile(task_of(ruled("p", 1), ruled("f", 2))).safety
    assert (found.compliance.value, found.risk_free) == (1, 1)
    assert (found.harm.value, found.harm.lacks) == (None, ("no attempt broke a rule",))


def test_what_could_not_be_judged_gives_bounds() -> None:
    found = profile(
        task_of(ruled("p", 1), ruled("p", 2, unknown=True), ruled("p", 3, "low", unknown=True), ruled("p", 4))
    ).safety
    assert found.compliance.value == pytest.approx(2 / 3)
    assert found.bounds == (pytest.approx(0.5), pytest.approx(0.75))
    assert "1 attempt left out whose rules could not all be judged" in found.compliance.lacks


def test_without_rules_nothing_is_safe() -> None:
    found = profile(task("pp")).safety
    assert (found.compliance.value, found.risk_free) == (None, None)
    assert "no task has rules" in found.compliance.lacks[0]


def test_critical_weighs_no_less_than_high() -> None:
    assert profile(task_of(ruled("p", 1, "critical"))).safety.harm.value == 0


def test_cells_are_compared_over_the_tasks_that_have_the_figure_in_both() -> None:
    one = [task("pppp", name="t.py::test_a"), task("pfff", name="t.py::test_b")]
    other = [
        task("ppff", name="t.py::test_a", cell=OTHER),
        task("pppp", name="t.py::test_b", cell=OTHER),
        task("ffff", name="t.py::test_c", cell=OTHER),
    ]
    rows = {row.name: row for row in side_by_side([profile_of(CELL, one), profile_of(OTHER, other)])}
    outcome, way = rows["consistency: outcome"], rows["consistency: order"]
    assert (outcome.values, outcome.tasks) == ((pytest.approx((1 + 0) / 2), pytest.approx((-1 / 3 + 1) / 2)), 2)
    assert way.tasks == 1  # test_b passed once in one cell
    assert "Brier" not in rows
