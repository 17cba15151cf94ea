from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Faults, Policy
from support.scripted_server import ScriptedServer

from pytest_agenteval.cli.main import main
from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.record.records import AttemptRecord

SCHEMAS = Path(__file__).parents[1] / "data" / "eee"
K = 4
OTHER = "openai-api/scripted/agent-2"
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, OTHER: {"input": 1.0, "output": 10.0}}
KEY = "sk-ant-" + "api03-Zx81kQp2Wv7LmT4sYc9Rb0Hn"
WORD = "correct-horse-battery"

SUITE = f"""
async def test_alpha(agent, sandbox):
    await agent.run("Do task alpha. {KEY} {WORD}")
    assert await sandbox.read_file("out.txt") == "right\\n"

async def test_tools(agent, sandbox):
    await agent.run("Do task tools.")

async def test_down(agent, sandbox):
    await agent.run("Do task down.")
"""
POLICIES: dict[str, Policy] = {
    "alpha": CommandPolicy(p_success=0.6, success=("echo right > out.txt",), failure=("echo wrong > out.txt",)),
    "tools": CommandPolicy(p_unknown_tool=0.5),
    "down": CommandPolicy(faults=Faults(p_500=0.3, most_per_call=100)),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES, seed=2) as server:
        yield run_suite(
            tmp_path_factory.mktemp("export"),
            server,
            SUITE,
            "--agent-generate=max_retries=0",
            "--agent-env-retries=0",
            k=K,
            models=(AGENT, OTHER),
            prices=PRICES,
        )


@pytest.fixture(scope="module")
def out(run: HttpRun) -> Path:
    os.environ["SCRIPTED_WORD_SECRET"] = WORD
    try:
        assert main(["export", "eee", str(run.folder / "logs"), "--out", str(run.folder / "out")]) == 0
    finally:
        del os.environ["SCRIPTED_WORD_SECRET"]
    return run.folder / "out"


def aggregates(out: Path) -> dict[str, dict[str, Any]]:
    """By the model's last part."""
    found = {path: json.loads(path.read_text("utf-8")) for path in out.glob("data/*/*/*/*.json")}
    return {path.parent.name: aggregate for path, aggregate in found.items()}


def rows(out: Path, model: str) -> list[dict[str, Any]]:
    path = out / aggregates(out)[model]["detailed_evaluation_results"]["file_path"]
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def valid(schema: str, value: Any) -> None:
    Draft7Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text("utf-8"))).validate(value)


def test_the_official_schemas_accept_every_file(out: Path) -> None:
    assert sorted(aggregates(out)) == ["agent-1", "agent-2"]
    assert len([path for path in out.rglob("*") if path.is_file()]) == 4
    for model, aggregate in aggregates(out).items():
        valid("eval", aggregate)
        assert len(rows(out, model)) == 3 * K
        for row in rows(out, model):
            valid("instance_level_eval", row)


def test_every_row_is_its_own_attempt(run: HttpRun, out: Path) -> None:
    for (name, model), record in run.records.items():
        for attempt in record.attempts:
            (row,) = (
                row
                for row in rows(out, model)
                if row["sample_id"] == f"test_suite.py::{name}" and row["metadata"]["attempt"] == str(attempt.number)
            )
            same(row, attempt)
            if name == "test_alpha" and attempt.outcome.counts:
                said = json.dumps(row["messages"])
                assert ("echo right" in said) == (row["evaluation"]["score"] == 1.0)


def same(row: dict[str, Any], attempt: AttemptRecord) -> None:
    assert row["metadata"]["outcome"] == attempt.outcome.value
    assert row["evaluation"]["score"] == float(attempt.outcome == "passed")
    assert row["evaluation_result_id"] == ("pass_at_1" if attempt.outcome.counts else "counted_rate")
    assert (row["error"] is None) == attempt.outcome.counts
    assert row["evaluation"]["tool_calls_count"] == len(attempt.tool_calls)
    assert row["metadata"]["tool_call_failures"] == str(sum(call.error is not None for call in attempt.tool_calls))
    if attempt.model_calls:
        assert row["token_usage"]["total_tokens"] == attempt.tokens
        assert float(row["performance"]["additional_details"]["cost_usd"]) == pytest.approx(attempt.cost)


def test_pass_hat_k_of_the_rows_is_that_of_the_run(run: HttpRun, out: Path) -> None:
    for cell in summarize(list(run.records.values())).cells:
        model = cell.cell.model.split("/")[-1]
        results = {result["evaluation_result_id"]: result for result in aggregates(out)[model]["evaluation_results"]}
        for k in range(1, cell.k + 1):
            name = "pass_at_1" if k == 1 else f"pass_hat_{k}"
            assert results[name]["score_details"]["score"] == cell.estimates.pass_hat(k).value
        passes: dict[str, list[bool]] = {}
        for row in rows(out, model):
            if row["evaluation_result_id"] == "pass_at_1":
                passes.setdefault(row["sample_id"], []).append(row["evaluation"]["is_correct"])
        full = [all(each) for each in passes.values() if len(each) == K]
        assert sum(full) / len(full) == pytest.approx(cell.pass_hat_k.value)


def test_a_tool_call_failure_is_in_the_messages_and_in_the_log_of_calls(run: HttpRun, out: Path) -> None:
    failures = sum(call.error is not None for attempt in run.attempts("test_tools") for call in attempt.tool_calls)
    assert failures
    told = json.dumps([row["messages"] for row in rows(out, "agent-1")])
    logged = [call for row in rows(out, "agent-1") for call in json.loads(row["metadata"]["tool_call_log"])]
    assert told.count("[tool-call failure: parsing]") == failures
    assert sum("error" in call for call in logged) == failures


def test_secrets_stay_in_the_logs(out: Path) -> None:
    text = "".join(path.read_text("utf-8") for path in out.rglob("*") if path.is_file())
    assert "Do task alpha. [redacted] [redacted]" in text
    assert KEY not in text
    assert WORD not in text
    assert str(out.parent) not in text


def test_again_gives_the_same_files_and_part_of_the_logs_others_of_which_it_warns(
    run: HttpRun, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    logs = sorted(str(path) for path in (run.folder / "logs").glob("*.eval"))
    os.environ["SCRIPTED_WORD_SECRET"] = WORD
    try:
        assert main(["export", "eee", *reversed(logs), logs[0], "--out", str(tmp_path)]) == 0
    finally:
        del os.environ["SCRIPTED_WORD_SECRET"]
    assert {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "note" not in capsys.readouterr().err
    target = next(iter(tmp_path.glob("data/*/*/agent-1/*.json")))
    target.rename(target.with_name("0b0e5a4e-5a4e-4a4e-8a4e-0b0e5a4e0b0e.json"))
    assert main(["export", "eee", *logs, "--out", str(tmp_path)]) == 0
    assert "note: 1 other export of this cell" in capsys.readouterr().err


def test_names_can_be_given(run: HttpRun, tmp_path: Path) -> None:
    names = ["--collection=mine", "--organization=Acme", "--relationship=first_party", f"--model-id={AGENT}=acme/ours"]
    assert main(["export", "eee", str(run.folder / "logs"), "--out", str(tmp_path), *names]) == 0
    (path,) = tmp_path.glob("data/mine/acme/ours/*.json")
    source = json.loads(path.read_text("utf-8"))["source_metadata"]
    assert (source["source_organization_name"], source["evaluator_relationship"]) == ("Acme", "first_party")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which it ends."""
    assert main(["export", "eee", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def test_what_cannot_be_exported_is_refused_in_one_sentence(
    run: HttpRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs, out = str(run.folder / "logs"), f"--out={tmp_path / 'out'}"
    empty, broken, file = tmp_path / "empty", tmp_path / "broken.eval", tmp_path / "file"
    empty.mkdir()
    broken.write_bytes(next(iter((run.folder / "logs").glob("*.eval"))).read_bytes()[:1000])
    file.touch()
    assert "no .eval log of pytest-agenteval" in refused([str(empty), out], capsys)
    assert "check the path" in refused([str(tmp_path / "nowhere"), out], capsys)
    assert f"{broken} cannot be read" in refused([str(broken), out], capsys)
    assert f"{file / 'out'} cannot be written" in refused([logs, f"--out={file / 'out'}"], capsys)
    assert "--collection" in refused([logs, out, "--collection=a/b"], capsys)
    assert "--model-id" in refused([logs, out, f"--model-id={AGENT}=unknown/x"], capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["csv", "logs", "--out=x"], "invalid choice: 'csv'"),
        (["eee", "--out=x"], "LOGS"),
        (["eee", "logs"], "--out"),
        (["eee", "logs", "--out=x", "--model-id=nothing"], "write MODEL=DEVELOPER/NAME"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["export", *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
