from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.made_records import CELL, OTHER, attempt, model_call, retry, task, task_of, tool_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.exit_status import RunVerdict
from pytest_agenteval.judge.judgement import Judgement, PytestSaid, judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import TaskRecord
from pytest_agenteval.record.tool_calls import ToolCallFailures, ToolCalls
from pytest_agenteval.report.json import SCHEMA_VERSION, json_report, json_schema

SCHEMA = json_schema()
VALID = Draft202012Validator(SCHEMA)


def report(*records: TaskRecord, notes: tuple[str, ...] = (), **thresholds: Any) -> Any:
    return as_read(judge_run(records, GateSettings(**thresholds)), notes)


def as_read(judgement: Judgement, notes: tuple[str, ...] = ()) -> Any:
    """As somebody reads it from the file: valid, and strict JSON."""
    read = json.loads(json.dumps(json_report(judgement, notes), allow_nan=False))
    VALID.validate(read)
    return read


def test_the_schema_is_a_schema_and_names_its_version() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"].endswith(f":{SCHEMA_VERSION}")
    assert SCHEMA["$defs"]["Cause"]["enum"] == [cause.value for cause in Cause]
    assert SCHEMA["$defs"]["Outcome"]["enum"] == [outcome.value for outcome in Outcome]
    assert SCHEMA["$defs"]["RunVerdict"]["enum"] == [verdict.value for verdict in RunVerdict]


def test_the_schema_that_is_part_of_the_package_is_the_one_that_the_code_makes() -> None:
    """If it is not: `python -m pytest_agenteval.report.json > pytest_agenteval/report/report.schema.json`."""
    checked_in = files("pytest_agenteval.report").joinpath("report.schema.json").read_text("utf-8")
    assert json.loads(checked_in) == SCHEMA


def objects(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from objects(part)


def test_the_schema_knows_every_field_and_says_what_it_means() -> None:
    found = list(objects(SCHEMA))
    assert len(found) > 20
    for each in found:
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
        for name, field in each["properties"].items():
            target = SCHEMA["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
            assert {"description", "const", "anyOf"} & {*field, *target}, name


FULL = (
    task_of(
        attempt("p", 1, cost=0.25, tool_calls=(tool_call(), tool_call("timeout"), tool_call(exit_code=3))),
        attempt("f", 2, cost=0.5, retries=(retry(0.125),), message="no", exception="AssertionError", where="t.py:3"),
        attempt("p", 3, cost=0.125, reused=True, log="l.eval", image="sha256:1", run="r", ended="2026-01-01T00:00:00Z"),
        attempt("e", 4, cost=0.0),
        name="t.py::test_a",
    ),
    task("pppp", "t.py::test_b", cost=0.0),
)


def test_the_figures_are_those_counted_by_hand() -> None:
    read = report(*FULL, min_pass_k=0.5, notes=("a note",))
    assert read["run"]["verdict"] == "UNDECIDED"
    assert read["run"]["exit_status"]["code"] == 10
    assert read["run"]["notes"] == ["a note"]
    assert read["run"]["cost"] == {
        "usd": 1.0, "usd_at_least": 1.0, "usd_at_most": 1.0, "unpriced_calls": 0, "uncounted_calls": 0,
        "lost_calls": 0,
    }  # fmt: skip
    assert read["run"]["paid_now"]["usd"] == 0.875
    (cell,) = read["cells"]
    assert (cell["model"], cell["scaffold"], cell["k"], cell["tasks"]) == ("openai/gpt-5-mini", "react", 4, 2)
    # (2/3 + 4/4) / 2; the missing attempt can have failed or passed: (2/4 + 1) / 2 to (3/4 + 1) / 2
    assert cell["pass_at_1"]["value"] == pytest.approx(5 / 6)
    assert (cell["pass_at_1"]["worst"], cell["pass_at_1"]["best"]) == (0.75, 0.875)
    assert [each["question"] for each in cell["pass_at_1"]["intervals"]] == ["this suite, re-run", "tasks like these"]
    # only test_b has four attempts
    assert (cell["pass_hat_k"]["value"], cell["pass_hat_k"]["tasks_left_out"]) == (1.0, 1)
    assert (cell["pass_hat_k"]["worst"], cell["pass_hat_k"]["best"]) == (0.5, 0.5)
    # pass^1 = (2/3 + 1) / 2, pass^2 = (1/3 + 1) / 2, pass^3 = (0 + 1) / 2, pass^4 of test_b alone: no point of a curve
    assert [point["value"] for point in cell["pass_hat_curve"]] == pytest.approx([5 / 6, 2 / 3, 0.5, None])
    assert [point["tasks_used"] for point in cell["pass_hat_curve"]] == [2, 2, 2, 1]
    assert (cell["attempts"], cell["passes"], cell["missing_attempts"], cell["reliable_tasks"]) == (7, 6, 1, 1)
    assert cell["cost_per_attempt"]["usd"] == pytest.approx(1 / 7)
    assert cell["cost_per_success"]["usd"] == pytest.approx(1 / 6)
    assert (cell["tool_calls"], cell["nonzero_exits"]) == (3, 1)
    assert cell["tool_call_failures"] == [{"tool": "bash", "error": "timeout", "count": 1}]
    assert cell["environment_errors"] == {
        "count": 2, "rate": pytest.approx(2 / 9), "retried": 1, "stayed": 1, "tries": 9,
        "by_cause": [{"cause": "sandbox", "count": 2}],
    }  # fmt: skip
    first, second = read["tasks"]
    assert (first["task"], first["n"], first["c"], first["verdict"]) == ("t.py::test_a", 3, 2, None)
    assert (first["pass_at_1"], first["pass_hat_k"], first["missing_attempts"]) == (pytest.approx(2 / 3), None, [4])
    assert second["pass_hat_k"] == 1.0
    passed, failed, reused, lost = first["attempts"]
    assert [each["outcome"] for each in first["attempts"]] == ["passed", "failed", "passed", "environment_error"]
    assert passed["tool_calls"] == [
        {"tool": "bash", "error": None, "count": 2},
        {"tool": "bash", "error": "timeout", "count": 1},
    ]
    assert passed["tokens"] == {"input": 100, "output": 10, "cache_read": 0, "cache_write": 0}
    assert (failed["message"], failed["exception"], failed["where"]) == ("no", "AssertionError", "t.py:3")
    assert (failed["cost"]["usd"], failed["retries"][0]["cost"]["usd"]) == (0.625, 0.125)
    assert (reused["reused"], reused["log"], reused["image"], reused["run"]) == (True, "l.eval", "sha256:1", "r")
    assert (lost["counts"], lost["cause"]) == (False, "sandbox")
    gates = {gate["name"]: gate for gate in read["gates"]}
    assert gates["--min-pass-k"]["cell"] == {"model": "openai/gpt-5-mini", "scaffold": "react"}
    assert "error" in gates["--agent-max-env-error-rate"]["reason"]


def test_an_attempt_of_another_run_has_its_number_in_its_log() -> None:
    here = str(Path.cwd() / "logs" / "a.eval")
    reused, fresh, lost = attempt("p", 2, log=here).renumbered(1), attempt("f", 2, log="logs/b.eval"), attempt("c", 3)
    (read,) = report(task_of(reused, fresh, lost))["tasks"]
    assert [(each["number"], each["log"], each["number_in_log"]) for each in read["attempts"]] == [
        (1, "logs/a.eval", 2), (2, "logs/b.eval", 2), (3, None, None),
    ]  # fmt: skip


def test_an_unknown_price_is_null_and_never_0() -> None:
    read = report(task_of(attempt("p", model_calls=(model_call(None), model_call(0.5)))))
    for cost in (read["run"]["cost"], read["cells"][0]["cost"], read["tasks"][0]["attempts"][0]["cost"]):
        assert (cost["usd"], cost["usd_at_least"], cost["usd_at_most"], cost["unpriced_calls"]) == (None, 0.5, None, 1)


def test_judged_tasks_have_their_verdicts_by_cell() -> None:
    read = report(task("pp", cell=CELL), task("pf", cell=OTHER))
    assert [(each["model"], each["verdict"]) for each in read["tasks"]] == [
        (CELL.model, "PASS"),
        (OTHER.model, "FAIL"),
    ]
    assert (read["run"]["verdict"], read["run"]["exit_status"]["code"]) == ("FAIL", 1)


def test_the_comparison_with_a_baseline_is_there() -> None:
    def earlier(name: str, passed: bool) -> EarlierAttempt:
        return EarlierAttempt(CELL, name, passed, 0.5, ToolCalls(4, (ToolCallFailures("bash", "timeout", 1),)), None)

    baseline = EarlierRun("the run of May", tuple(earlier("t.py::test_it", True) for _ in range(12)))
    records = [task("f" * 12), task("p", "t.py::test_new")]
    read = as_read(judge_run(records, GateSettings(), baseline=baseline))
    (found,) = read["comparisons"]
    assert (found["baseline"], found["regressed"]) == ("the run of May", True)
    assert (found["baseline_model"], found["baseline_scaffold"]) == (CELL.model, CELL.scaffold)
    assert (found["pass_at_1_before"], found["pass_at_1_after"], found["added_tasks"]) == (1.0, 0.0, ["t.py::test_new"])
    (fallen,) = found["regressed_tasks"]
    assert (fallen["before"], fallen["after"]) == ({"n": 12, "c": 12}, {"n": 12, "c": 0})
    assert (fallen["usd_per_attempt_before"], fallen["tool_call_failure_rate_before"]) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("said", "records", "verdict"),
    [
        (PytestSaid(), (), "NOT_JUDGED"),
        (PytestSaid(5), (), "NO_TESTS"),
        (PytestSaid(2), (task("p"),), "INTERRUPTED"),
        (PytestSaid(3), (), "ERROR"),
        (PytestSaid(), (task("p"),), "PASS"),
        (PytestSaid(), (task("pn"),), "INCOMPLETE"),
        (PytestSaid(), (task("e"),), "UNDECIDED"),
        (PytestSaid(), (task("b"),), "FAIL"),
    ],
)
def test_the_run_has_one_word(said: PytestSaid, records: tuple[TaskRecord, ...], verdict: str) -> None:
    assert as_read(judge_run(records, GateSettings(), said=said))["run"]["verdict"] == verdict


def test_a_field_that_the_schema_does_not_know_is_refused_at_every_level() -> None:
    read = report(*FULL)
    places = [[], ["run"], ["cells", 0], ["cells", 0, "cost"], ["tasks", 0], ["tasks", 0, "attempts", 0], ["gates", 0]]
    for place in places:
        spoilt = copy.deepcopy(read)
        inner = spoilt
        for step in place:
            inner = inner[step]
        inner["surprise"] = 1
        assert not VALID.is_valid(spoilt), place
        del inner["surprise"]
        inner.pop(next(iter(inner)))
        assert not VALID.is_valid(spoilt), place


LETTERS = st.text("pflebncs", min_size=1, max_size=6)
TASKS = st.lists(
    st.tuples(LETTERS, st.sampled_from([CELL, OTHER]), st.sampled_from([None, 0.0, 0.25]), st.integers(0, 3)),
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(TASKS, st.sampled_from([{}, {"min_pass_k": 0.5}, {"min_pass_at_1": 0.9, "max_cost": 0.1, "confidence": 0.9}]))
def test_every_judgement_is_valid_under_the_schema(tasks: list[Any], thresholds: dict[str, float]) -> None:
    records = [
        task(letters, f"t.py::test_{i}", cell=cell, cost=cost, k=len(letters) + more)
        for i, (letters, cell, cost, more) in enumerate(tasks)
    ]
    read = report(*records, **thresholds)
    assert [len(each["attempts"]) for each in read["tasks"]] == [len(letters) for letters, *_ in tasks]
    for each, record in zip(read["tasks"], records, strict=True):
        assert (each["n"], each["c"]) == (record.n, record.passes)
