from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import CheckResult, Finding, Status, TaskResult, statuses
from pytest_agenteval.check.judging import judge_plays
from pytest_agenteval.check.plays import ORACLES, Level, Play, Role, base_plays
from pytest_agenteval.check.rules import RULES, Severity, chosen_rules
from pytest_agenteval.check.table import check_lines
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.outcomes import Outcome

OUTCOMES = {
    "p": Outcome.PASSED,
    "f": Outcome.FAILED,
    "l": Outcome.LIMIT,
    "b": Outcome.BROKEN,
    "e": Outcome.ENVIRONMENT_ERROR,
    "n": Outcome.NOT_RUN,
}


def played(role: Role, outcome: str, end: Mapping[str, str] | None = None, **more: Any) -> Played:
    return Played(Play(more.pop("name", role.value), role), OUTCOMES[outcome], message="so it ended", end=end, **more)


def task(*plays: Played, **more: Any) -> Task:
    return Task("t.py::test_it", "t.py", 3, **{"solvable": True, **more}, plays=plays)


def judged(one: Task, level: Level = Level.STANDARD) -> TaskResult:
    verdicts = judge_plays(one)
    found = tuple(verdicts.findings)
    return TaskResult(one, statuses(chosen_rules(level), found, verdicts.assessed), found)


def rules_of(one: Task) -> list[str]:
    return [finding.rule for finding in judged(one).findings]


@pytest.mark.parametrize(
    ("oracle", "null", "solvable", "rules", "status"),
    [
        ("p", "f", True, [], 0),
        ("p", "l", True, [], 0),
        ("f", "f", True, ["AE102"], 1),
        ("l", "f", True, ["AE102"], 1),
        ("p", "p", True, ["AE201"], 1),
        ("f", "p", True, ["AE102", "AE201"], 1),
        ("", "f", False, ["AE101"], 1),
        ("", "p", False, ["AE101", "AE201"], 1),
        ("b", "b", True, ["AE102"], 1),
        ("p", "b", True, ["AE102"], 1),
        ("e", "f", True, [], 10),
        ("p", "e", True, [], 10),
        ("p", "n", True, [], 10),
        ("n", "n", True, [], 10),
        ("e", "p", True, ["AE201"], 1),
        ("", "e", False, ["AE101"], 1),
    ],
)
def test_the_solution_and_doing_nothing(oracle: str, null: str, solvable: bool, rules: list[str], status: int) -> None:
    plays = [played(Role.ORACLE, oracle)] if oracle else []
    result = judged(task(*plays, played(Role.NULL, null), solvable=solvable), Level.QUICK)
    assert [finding.rule for finding in result.findings] == rules
    assert CheckResult(Level.QUICK, (result,)).exit_status() == status


def test_what_was_not_played_is_not_assessed_and_the_check_is_incomplete() -> None:
    """Two of three plays of the solution passed before the time was over: nobody knows whether it is flaky."""
    plays = [played(Role.ORACLE, outcome, name=f"oracle-{at}") for at, outcome in enumerate("ppn")]
    cut, whole = judged(task(*plays, played(Role.NULL, "f"))), judged(task(*plays[:2], played(Role.NULL, "f")))
    assert {cut.rules[rule] for rule in ("AE102", "AE103", "AE104")} == {Status.NOT_ASSESSED}
    assert (cut.rules["AE201"], whole.rules["AE104"]) == (Status.OK, Status.OK)
    result = CheckResult(Level.STANDARD, (cut,))
    assert (result.exit_status(), result.unplayed, result.plays) == (10, 1, 3)
    first, *_, last = check_lines(result)
    assert first.startswith("INCOMPLETE: 1 planned play did not run")
    assert last.startswith("1 task: 0 ok, 1 incomplete")


def test_a_task_that_pytest_skips_is_not_evaluated() -> None:
    result = judged(task(skip="not today"))
    assert result.findings == ()
    assert set(result.rules.values()) == {Status.NOT_ASSESSED}
    assert CheckResult(Level.QUICK, (result,)).exit_status() == 10
    assert CheckResult(Level.QUICK, ()).exit_status() == 5


@pytest.mark.parametrize(
    ("ends", "starts", "rule"),
    [
        ([{"out": "1"}, {"out": "1"}], [{}, {}], "AE104"),
        ([{"out": "1"}, {"out": "2"}], [{}, {}], "AE103"),
        # a canary differs from the start: it is no work of the solution
        ([{"out": "1", "canary": "a"}, {"out": "1", "canary": "b"}], [{"canary": "a"}, {"canary": "b"}], "AE104"),
        ([None, None], [None, None], "AE104"),  # nothing but the answer is known, and that is the same
    ],
)
def test_a_flaky_checker_is_told_from_a_flaky_environment(ends: list[Any], starts: list[Any], rule: str) -> None:
    plays = [
        played(Role.ORACLE, outcome, end, start=start, name=f"oracle-{n}")
        for n, (outcome, end, start) in enumerate(zip("pf", ends, starts, strict=True))
    ]
    assert rules_of(task(*plays)) == [rule]


def test_other_answers_are_other_end_states() -> None:
    plays = [played(Role.ORACLE, "p", answer="1"), played(Role.ORACLE, "f", answer="2")]
    assert rules_of(task(*plays)) == ["AE103"]


def test_one_play_of_the_solution_says_nothing_about_flakiness() -> None:
    rules = judged(task(played(Role.ORACLE, "p"), played(Role.NULL, "f"))).rules
    assert (rules["AE102"], rules["AE103"], rules["AE104"]) == (Status.OK, Status.NOT_ASSESSED, Status.NOT_ASSESSED)


def test_a_lost_play_leaves_its_rule_undecided_and_the_others_as_they_are() -> None:
    plays = [played(Role.ORACLE, "p"), played(Role.ORACLE, "e"), played(Role.NULL, "f"), played(Role.SPAM, "e")]
    rules = judged(task(*plays)).rules
    undecided = {rule for rule, status in rules.items() if status is Status.UNDECIDED}
    assert undecided == {"AE102", "AE103", "AE104", "AE204"}


def test_the_answer_alone_is_the_whole_work_where_the_solution_only_looks() -> None:
    def of(end: Mapping[str, str]) -> list[str]:
        given = {"data": "1"}
        return rules_of(
            task(
                played(Role.ORACLE, "p", end),
                played(Role.NULL, "f", given),
                played(Role.ANSWER_ONLY, "p", given),
            )
        )

    assert of({"data": "1"}) == []
    assert of({"data": "1", "done": "2"}) == ["AE205"]


@pytest.mark.parametrize(
    ("needs", "rule"),
    [({"turns": 5}, []), ({"turns": 6}, ["AE106"]), ({"agent_seconds": 31.0}, ["AE106"]),
     ({"agent_seconds": 30.0}, []), ({"grading_seconds": 6.0}, ["AE106"])],
)  # fmt: skip
def test_headroom_is_half_of_a_limit(needs: Any, rule: list[str]) -> None:
    limits = {"turn_limit": 10, "time_limit": 60.0, "grading_time_limit": 10.0}
    assert rules_of(task(played(Role.ORACLE, "p", **needs), **limits)) == rule


def test_a_solution_that_fails_says_nothing_about_harmless_variants() -> None:
    assert rules_of(task(played(Role.ORACLE, "f"), played(Role.BENIGN, "f"))) == ["AE102"]
    assert rules_of(task(played(Role.ORACLE, "p"), played(Role.BENIGN, "f"))) == ["AE304"]


def test_the_plays_of_a_level() -> None:
    assert [play.name for play in base_plays(("true",), "", Level.QUICK)] == ["oracle-1", "null"]
    standard = base_plays(("true",), "blue", Level.STANDARD, ["blue", "red"])
    assert [play.role for play in standard].count(Role.ORACLE) == 3
    assert standard[-1].role is Role.ORACLE  # so that the clock has moved on since the first
    assert next(play for play in standard if play.role is Role.SPAM).answer == "blue\nred"
    assert len({play.name for play in standard}) == len({play.digest for play in standard}) + 2  # the same solution
    assert [play.role for play in base_plays((), "", Level.QUICK)] == [Role.NULL]


def test_rules_are_chosen_by_level_and_name() -> None:
    assert {rule.id for rule in chosen_rules(Level.QUICK)} < {rule.id for rule in chosen_rules(Level.STANDARD)}
    assert [rule.id for rule in chosen_rules(Level.QUICK, only=["AE10"], skip=["AE101"])] == [
        rule for rule in RULES if rule.startswith("AE10") and rule != "AE101"
    ]
    with pytest.raises(NotReady, match="there is no rule AE999"):
        chosen_rules(Level.QUICK, only=["AE999"])


def test_the_identity_of_a_finding_survives_other_lines_and_words() -> None:
    one = Finding("AE302", "t", "a message", line=3, subject="drop-step")
    assert one.id == Finding("AE302", "t", "another message", line=33, subject="drop-step").id
    assert one.id != Finding("AE302", "t", "a message", line=3, subject="swap-steps").id


def test_the_worst_is_told_first_and_warnings_count_only_when_strict() -> None:
    one = task(played(Role.ORACLE, "p"), played(Role.NULL, "f"))
    found = (Finding("AE304", one.name, "too strict"), Finding("AE106", one.name, "x", severity=Severity.NOTE))
    result = CheckResult(Level.STANDARD, (TaskResult(one, {}, found),))
    assert [line.split()[:2] for line in check_lines(result)][:2] == [["AE304", "warning"], ["AE106", "note"]]
    assert (result.exit_status(), result.exit_status(strict=True)) == (0, 1)


def test_a_blind_gate_is_told_in_the_first_line_and_is_no_failure_of_the_tasks() -> None:
    result = CheckResult(Level.QUICK, (judged(task(played(Role.ORACLE, "p"))),), (Finding("AE901", "", "sees little"),))
    assert next(check_lines(result)).startswith("BLIND")
    assert result.exit_status() == 10


def test_a_checker_that_draws_is_found_by_ten_plays() -> None:
    """It passes with p = 0.5, so it is missed with p^10 + (1 - p)^10 = 0.2%."""
    found = 0
    for seed in range(100):
        draw = random.Random(seed)
        outcomes = ["p" if draw.random() < 0.5 else "f" for _ in range(ORACLES[Level.DEEP])]
        plays = [played(Role.ORACLE, each, {"out": "1"}, name=f"oracle-{n}") for n, each in enumerate(outcomes)]
        found += rules_of(task(*plays)) == ["AE104"]
    assert found >= 99
