"""The real gate: sound tasks and four planted defects, each under exactly its own rule; and a blind solver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.scripted_policy import CommandPolicy
from support.scripted_server import ScriptedServer

from pytest_agenteval.builder.families.known import known_families
from pytest_agenteval.builder.form import form_problems
from pytest_agenteval.builder.gate import Candidate, DeepGate, Verdict
from pytest_agenteval.builder.proposal import proposal_of
from pytest_agenteval.builder.solving import PytestSolver, ambiguity
from pytest_agenteval.check.plays import Level

pytestmark = pytest.mark.usefixtures("warm_children")

TURN = "n=$(cat {0} 2>/dev/null || echo 0); echo $((n + 1)) > {0}; echo $((n % 2))"
"""Prints 0 and 1 in turn, whoever asks."""


def proposed(id: str, family: str, steps: int = 1) -> dict[str, Any]:
    data = {**known_families()[family].draft(id, steps), "id": id, "subtask": family}
    return json.loads(json.dumps(data))  # type: ignore[no-any-return]


def planted(folder: Path) -> dict[str, dict[str, Any]]:
    done = proposed("null-passes", "logs")
    done["checks"] = [{"kind": "unchanged", "path": "access.log"}]
    fails = proposed("oracle-fails", "tables")
    fails["solution"] = [step.replace("2nr", "2n") for step in fails["solution"]]
    flaky = proposed("flaky-checker", "configuration")
    flaky["checks"].append({"kind": "command", "argv": ["bash", "-c", TURN.format(folder / "turn")], "stdout": "0"})
    leak = proposed("leaks", "tables", 2)
    leak["files"]["expected/sums.csv"] = next(c["text"] for c in leak["checks"] if c.get("path") == "sums.csv")
    return {
        each["id"]: each
        for each in (done, fails, flaky, leak, proposed("sound", "repair"), proposed("desk", "service"))
    }


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Verdict]:
    folder = tmp_path_factory.mktemp("gate")
    tasks = planted(folder)
    assert [form_problems(task) for task in tasks.values()] == [[]] * len(tasks)
    gate = DeepGate(folder / "work", Level.STANDARD, "local", mutants=3)
    return gate.judge([Candidate(proposal_of(task)) for task in tasks.values()])


def test_what_is_sound_is_accepted(verdicts: Mapping[str, Verdict]) -> None:
    for name in ("sound", "desk"):
        assert (verdicts[name].accepted, [each.rule for each in verdicts[name].reasons]) == (True, [])
        assert verdicts[name].plays > 10


@pytest.mark.parametrize(
    ("task", "rules"),
    [("null-passes", {"AE201"}), ("oracle-fails", {"AE102"}), ("flaky-checker", {"AE104"}), ("leaks", {"AE401"})],
)
def test_a_planted_defect_has_its_own_rule(task: str, rules: set[str], verdicts: Mapping[str, Verdict]) -> None:
    assert verdicts[task].accepted is False
    assert {each.rule for each in verdicts[task].reasons} == rules


def test_a_mistake_that_solution_and_checks_share_is_seen_by_blind_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate cannot see it: the prompt says kWh and Wh, and the task takes one for the other."""
    right = proposed("shared", "tables")
    way = right["solution"][0]
    shared = json.loads(json.dumps(right))
    sums = next(check for check in shared["checks"] if check.get("path") == "sums.csv")
    sums["text"] = sums["text"].replace("\n", "0\n")  # ten times too much
    shared["solution"] = [way.replace("? 1000 : 1", "? 10000 : 10")]
    policy = CommandPolicy(success=(way,))
    with ScriptedServer({"": policy}) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        prices = tmp_path / "prices.toml"
        prices.write_text('[models."openai-api/scripted/agent-1"]\ninput = 1.0\noutput = 2.0\n')
        more = ["--agent-allow-local", f"--agent-prices={prices}"]
        solver = PytestSolver(tmp_path / "solver", "openai-api/scripted/agent-1", 3, "local", more)
        candidates = [Candidate(proposal_of(each)) for each in (shared, {**right, "id": "right"})]
        solved, cost, calls = solver.solve(candidates, 1.0)
        served = sum(entry.answered == 200 for entry in server.journal)
        again, _, _ = solver.solve(candidates, 1.0)
        assert sum(entry.answered == 200 for entry in server.journal) == served  # resumed, not made again
    assert solved == again
    assert (solved["right"].passed, solved["shared"].passed) == (3, 0)
    reason = ambiguity(solved["shared"])
    assert reason is not None
    assert reason.rule == "AMBIGUOUS"
    assert ambiguity(solved["right"]) is None
    assert calls == served
    assert cost == pytest.approx(served * (1000 * 1.0 + 100 * 2.0) / 1e6, abs=1e-9)
