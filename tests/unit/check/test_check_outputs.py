from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pytest_agenteval.check.accepted import FILE, accept, read_accepted
from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.findings import CheckResult, Finding, Status, TaskResult
from pytest_agenteval.check.plays import Level, Play, Role
from pytest_agenteval.check.rules import RULES, explain
from pytest_agenteval.check.sarif import check_sarif
from pytest_agenteval.check.store import PlayStore, key_of
from pytest_agenteval.check.table import check_lines
from pytest_agenteval.cli.check_json import check_json, check_schema
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.outcomes import Outcome

SURVIVOR = Finding("AE302", "t.py::test_it", "passes: x", "t.py", 3, subject="flip-1", replay="flip-1", evidence=("a",))
PIN = Finding("AE601", "", "Dockerfile:2: alpine is whatever is the latest: pin it", "Dockerfile", 2, subject="alpine")


def result(line: int = 3) -> CheckResult:
    task = TaskResult(Task("t.py::test_it", "t.py", line), {"AE302": Status.FINDING}, (replace(SURVIVOR, line=line),))
    return CheckResult(Level.STANDARD, (task,), (PIN,), {"AE601": Status.FINDING})


def accepted(folder: Path, text: str) -> CheckResult:
    (folder / FILE).write_text(text, "utf-8")
    return accept(result(), read_accepted(folder), RULES)


def test_a_finding_is_accepted_with_a_reason(tmp_path: Path) -> None:
    text = '[[accept]]\nrule = "AE302"\ntask = "t.py::test_it"\nmutant = "flip-1"\nreason = "no use"\n'
    found = accepted(tmp_path, text)
    assert [(each.rule, each.accepted) for each in found.findings] == [("AE601", None), ("AE302", "no use")]
    assert found.exit_status(strict=True) == 1  # the pin is still open
    assert not any(line.startswith("AE302") for line in check_lines(found))
    assert "1 finding accepted" in [*check_lines(found)][-1]


def test_what_matches_nothing_is_told(tmp_path: Path) -> None:
    found = accepted(tmp_path, '[[accept]]\nrule = "AE302"\nmutant = "flip-2"\nreason = "no use"\n')
    assert found.notes == (f"{FILE} accepts AE302 of the suite, and nothing is found there",)
    other = accepted(tmp_path, '[[accept]]\nrule = "AE302"\ntask = "u.py::test_other"\nreason = "not checked now"\n')
    assert other.notes == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[accept]]\n", "names no rule"),
        ('[[accept]]\nrule = "AE999"\nreason = "x"\n', "names no rule"),
        ('[[accept]]\nrule = "AE302"\n', "has no reason"),
        ('[[accept]]\nrule = "AE302"\nreason = " "\n', "has no reason"),
        ('[[accept]]\nrule = "AE302"\nreason = "x"\nmutants = "y"\n', "did you mean mutant"),
        ("[[accept]]\nrule = 302\n", "not a table of texts"),
        ("[accept]\n", "something else"),
        ("accept = [\n", "cannot be read"),
    ],
)
def test_a_file_that_says_too_little_is_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=why):
        accepted(tmp_path, text)


def test_without_the_file_nothing_is_accepted(tmp_path: Path) -> None:
    assert read_accepted(tmp_path) == []


def test_sarif_has_the_place_and_an_identity_that_stays_when_lines_move(tmp_path: Path) -> None:
    sarif = pytest.importorskip("pydantic_sarif.model")
    text = '[[accept]]\nrule = "AE601"\nreason = "later"\n'
    written = json.loads(json.dumps(check_sarif(accepted(tmp_path, text))))
    sarif.StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(written)
    [run] = written["runs"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"]) == ("AE302", "warning")
    [place] = first["locations"]
    assert place["physicalLocation"] == {"artifactLocation": {"uri": "t.py"}, "region": {"startLine": 3}}
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == "AE302"
    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "external", "justification": "later"}]
    moved = check_sarif(result(line=13))["runs"][0]["results"]
    assert [each["partialFingerprints"] for each in moved] == [
        first["partialFingerprints"],
        second["partialFingerprints"],
    ]
    assert moved[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 13}


def test_the_json_is_valid_and_says_null_for_what_there_is_not() -> None:
    Draft202012Validator.check_schema(dict(check_schema()))
    written = json.loads(json.dumps(check_json(result(), 0), allow_nan=False))
    Draft202012Validator(dict(check_schema())).validate(written)
    assert written["schema"] == "agenteval.check/1"
    assert [each["task"] for each in written["findings"]] == ["t.py::test_it", None]
    assert written["tasks"][0]["mutants"] is None


def test_every_rule_explains_itself_and_is_taught() -> None:
    page = (Path(__file__).parents[3] / "docs" / "explanation" / "honest-suites.md").read_text("utf-8")
    for name, rule in RULES.items():
        assert rule.why in explain(name) and rule.title in explain(name)
        assert name in page


IDENTITY = {"the test's body": "1", "its image": "2"}
PLAYED = Played(Play("null", Role.NULL), Outcome.FAILED, message="as it should", end={"./a": "1"})


def test_plays_are_kept_while_nothing_changes(tmp_path: Path) -> None:
    store = PlayStore(tmp_path / "plays")
    store.keep("t", IDENTITY, "states", [PLAYED])
    again = replace(PLAYED, play=Play("oracle-1", Role.ORACLE, ("true", ("cancel", {"id": 7})), "42"))
    store.keep("t", IDENTITY, "states", [again])
    assert store.known("t", IDENTITY, "states") == {key_of(each.play): each for each in (PLAYED, again)}
    assert store.known("t", {**IDENTITY, "its image": "3"}, "states") == {}
    assert store.known("t", IDENTITY, "outcomes") == store.known("u", IDENTITY, "states") == {}


@pytest.mark.parametrize("outcome", [Outcome.ENVIRONMENT_ERROR, Outcome.NOT_RUN, Outcome.SKIPPED])
def test_what_the_environment_cut_short_is_played_again(outcome: Outcome, tmp_path: Path) -> None:
    store = PlayStore(tmp_path)
    store.keep("t", IDENTITY, "states", [replace(PLAYED, outcome=outcome)])
    assert store.known("t", IDENTITY, "states") == {}


def test_a_damaged_file_of_plays_is_as_good_as_none(tmp_path: Path) -> None:
    store = PlayStore(tmp_path)
    store.keep("t", IDENTITY, "states", [PLAYED])
    [file] = tmp_path.iterdir()
    file.write_text("{", "utf-8")
    assert store.known("t", IDENTITY, "states") == {}
