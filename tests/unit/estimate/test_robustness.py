from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.made_records import attempt, task, task_of

from pytest_agenteval.collect.perturbation import FaultDraws
from pytest_agenteval.estimate.robustness import robustness_of
from pytest_agenteval.estimate.stats.ratio import mover_ratio, ratio_like_these, ratio_of_suite
from pytest_agenteval.estimate.task import TaskSummary, summarize_task
from pytest_agenteval.judge import GateSettings, Verdict
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.options.perturbations import FaultPlan, perturbation
from pytest_agenteval.record.conduct import Fault
from pytest_agenteval.record.perturbed import Perturbed
from pytest_agenteval.record.records import TaskRecord


@pytest.mark.parametrize(("correlation", "low", "high"), [(0.0, 0.4925, 1.0706), (0.5, 0.5255, 0.9740)])
def test_mover_of_a_hand_computed_pair(correlation: float, low: float, high: float) -> None:
    found = mover_ratio((0.6, 0.4, 0.8), (0.8, 0.65, 0.9), correlation)
    assert found == pytest.approx((low, high), abs=5e-5)


def test_without_a_lower_end_of_the_base_there_is_no_upper_one() -> None:
    assert mover_ratio((0.5, 0.3, 0.7), (0.1, 0.0, 0.3))[1] == math.inf


def test_the_intervals_cover() -> None:
    """Nominal 95 %; a beta of the tau-bench retail suite, whose tasks lose a fifth of their pass rates."""
    rng = np.random.default_rng(11)
    n, k, runs, a, b = 25, 8, 600, 2.8, 0.73
    like_these = suite = 0
    for _ in range(runs):
        p = rng.beta(a, b, n)
        base = [(k, int(c)) for c in rng.binomial(k, p)]
        under = [(k, int(c)) for c in rng.binomial(k, 0.8 * p)]
        one, other = ratio_like_these(base, under), ratio_of_suite(base, under)
        assert one is not None
        assert other is not None
        like_these += one.low <= 0.8 <= one.high
        suite += other.low <= 0.8 <= other.high
    assert like_these / runs >= 0.92
    assert suite / runs >= 0.94


def perturbed(letters: str, of: str = "t.py::test_it", name: str = "exec-faults", **fields: object) -> TaskRecord:
    group = str(fields.pop("group", name))
    record = task(letters, f"{of}[{name}]")
    return replace(record, perturbed=Perturbed(group, name, of, len(letters)), **fields)  # type: ignore[arg-type]


def base(letters: str, name: str = "t.py::test_it") -> TaskRecord:
    return task(letters, name)


def summaries(*records: TaskRecord) -> tuple[TaskSummary, ...]:
    return tuple(map(summarize_task, records))


def test_r_is_not_capped() -> None:
    (found,) = robustness_of(summaries(base("ppff")), summaries(perturbed("pppf")))
    assert (found.base, found.under, found.ratio, found.lost) == (0.5, 0.75, 1.5, -0.25)


def test_a_base_of_0_has_no_ratio() -> None:
    (found,) = robustness_of(summaries(base("ffff")), summaries(perturbed("pppf")))
    assert found.ratio is None
    assert found.this_suite is None
    assert found.tasks_like_these is None
    assert found.lost == -0.75


def test_only_tasks_with_both_are_compared() -> None:
    bases = summaries(base("pppp", "a"), base("ffff", "b"), base("eeee", "c"))
    found = robustness_of(bases, summaries(perturbed("ppff", "a"), perturbed("pppp", "c"), perturbed("pppp", "gone")))
    assert [(each.task, each.base, each.under) for each in found[0].pairs] == [("a", (4, 4), (4, 2))]
    assert found[0].not_paired == ("c", "gone")


def test_variants_of_one_group_are_pooled_and_the_worst_is_named() -> None:
    variants = [perturbed("pp", "a", "prompt-x", group="prompts"), perturbed("pf", "a", "prompt-y", group="prompts")]
    (found,) = robustness_of(summaries(base("pppp", "a")), summaries(*variants))
    assert found.group == "prompts"
    assert found.pairs[0].under == (4, 3)
    assert found.worst == ("prompt-y", 0.5)


def with_faults(letters: str, *, delivered: bool = True) -> TaskRecord:
    faults = (Fault("exec", "timeout", 1, "ls", delivered),)
    attempts = [attempt(letter, number, faults=faults) for number, letter in enumerate(letters, 1)]
    record = task_of(*attempts, name="t.py::test_it[exec-faults]")
    return replace(record, perturbed=Perturbed("exec-faults", "exec-faults", "t.py::test_it", len(letters)))


def verdict(*records: TaskRecord, least: float = 0.9, **gates: object) -> tuple[Verdict, str]:
    asked = GateSettings(min_pass_at_1=0.0, min_robustness=((None, least),), **gates)  # type: ignore[arg-type]
    (found,) = [gate for gate in judge_run(records, asked).gates if gate.name.startswith("--min-robustness")]
    return found.verdict, found.reason


@pytest.mark.parametrize(
    ("under", "least", "expected"),
    [
        (with_faults("pppppppp"), 1.0, Verdict.PASS),
        (with_faults("ppppffff"), 0.9, Verdict.FAIL),
        (with_faults("ppppppff"), 0.5, Verdict.PASS),
        (with_faults("ppppppee"), 0.9, Verdict.UNDECIDED),  # 6/8 or 8/8
        (with_faults("ppppppee"), 0.7, Verdict.PASS),
        (with_faults("ffffffee"), 0.7, Verdict.FAIL),
        (with_faults("pppppppp", delivered=False), 0.5, Verdict.UNDECIDED),
        (with_faults("ffffffff", delivered=False), 0.5, Verdict.UNDECIDED),
        (with_faults("eeeeeeee"), 0.5, Verdict.UNDECIDED),
    ],
)
def test_the_gate_on_the_grid(under: TaskRecord, least: float, expected: Verdict) -> None:
    assert verdict(base("pppppppp"), under, least=least)[0] is expected


def test_the_gate_on_a_base_near_0_or_without_a_perturbation() -> None:
    assert verdict(base("f" * 40 + "p"), with_faults("p" * 8))[0] is Verdict.UNDECIDED
    found, reason = verdict(base("pppp"))
    assert found is Verdict.UNDECIDED
    assert "--agent-perturb" in reason


def test_the_gate_on_the_truth() -> None:
    wide = verdict(base("p" * 8), with_faults("p" * 8), confidence=0.95)
    assert wide[0] is Verdict.UNDECIDED
    assert verdict(base("p" * 8), with_faults("p" * 8), confidence=0.95, undecided="fail")[0] is Verdict.FAIL
    assert verdict(base("p" * 200), with_faults("p" * 200), confidence=0.95)[0] is Verdict.PASS
    assert verdict(base("p" * 40), with_faults("pppp" + "f" * 36), confidence=0.95)[0] is Verdict.FAIL


def test_perturbed_tasks_cost_and_break_and_lack_but_count_in_no_cell() -> None:
    records = [base("pppp"), perturbed("pfbn", of="t.py::test_it")]
    judged = judge_run(records, GateSettings(min_pass_at_1=1.0))
    alone = judge_run(records[:1], GateSettings(min_pass_at_1=1.0))
    (cell,), (plain,) = judged.run.cells, alone.run.cells
    assert replace(cell, robustness=()) == plain
    assert judged.records == alone.records
    assert judged.run.broken == 1
    assert judged.run.incomplete == ("the run's budget could not pay for 1 attempt",)
    assert judged.status.code == 1
    assert alone.status.code == 0


def test_draws_depend_on_nothing_but_their_names() -> None:
    plan = FaultPlan(("exec", "tool"), 0.3, (), ())

    def drawn(**other: object) -> list[str | None]:
        given = {"seed": 0, "task": "t", "attempt": 1} | {k: v for k, v in other.items() if k != "plane"}
        draws = FaultDraws(plan, **given)  # type: ignore[arg-type]
        return [draws.kind(str(other.get("plane", "exec")), call) for call in range(1, 400)]

    assert drawn() == drawn()
    for other in ({"seed": 1}, {"task": "u"}, {"attempt": 2}, {"plane": "tool"}):
        assert drawn() != drawn(**other)
    assert drawn(plane="model") == [None] * 399
    hit = [kind for kind in drawn() if kind]
    assert 0.22 < len(hit) / 399 < 0.38
    assert set(hit) == {"timeout", "fork", "slow", "truncated"}


def test_faults_at_certain_calls() -> None:
    asked = perturbation("exec-faults:at=3/5,kinds=fork").faults
    assert asked is not None
    draws = FaultDraws(asked, 0, "t", 1)
    assert [draws.kind("exec", call) for call in range(1, 7)] == [None, None, "fork", None, "fork", None]


def test_perturbations_that_the_infrastructure_ate_are_never_green() -> None:
    lost = judge_run([base("pppp"), perturbed("ppee")], GateSettings(min_pass_at_1=1.0))
    assert lost.status.code == 10
    assert lost.run.incomplete == ("2 perturbed attempts met environment errors in every try",)
    few = judge_run([base("pppp"), perturbed("p" * 39 + "e")], GateSettings(min_pass_at_1=1.0))
    assert few.status.code == 0
