"""What models, tools and tests write: it touches no other attempt, and no terminal and no CI job obeys it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log
from support.content_server import FAILED_CALLS, MODES, PASSES, content_server
from support.suite_runs import Run

from pytest_agenteval.record.records import TaskRecord, from_json
from pytest_agenteval.redaction import REDACTED

KEEP_RECORDS = """
    import json, pathlib

    def pytest_runtest_logreport(report):
        if hasattr(report, "agenteval"):
            from pytest_agenteval.record.records import to_json

            with open(pathlib.Path(__file__).parent / "records.jsonl", "a") as file:
                print(json.dumps(to_json(report.agenteval)), file=file)
"""


def records(folder: Path) -> dict[str, TaskRecord]:
    lines = (folder / "records.jsonl").read_text("utf-8").splitlines()
    return {record.task.partition("::")[2]: record for record in map(from_json, map(json.loads, lines))}


def obeyed(text: str) -> list[str]:
    """Lines in which something steers a terminal, or which are a command to a CI job."""
    steers = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
    lines = text.split("\n")
    return [line for line in lines if steers.search(line) or line.lstrip().startswith("::") or "##[" in line]


def test_what_a_model_answers_is_its_own_attempts_affair(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = f"""
        import pytest
        from pytest_agenteval import agent_task

        @pytest.mark.parametrize("mode", {list(MODES)})
        @agent_task(time_limit=60, turn_limit=4)
        async def test_mode(agent, sandbox, mode):
            result = await agent.run(f"MODE={{mode}} write done to out.txt")
            print(*(message.text[:200] for message in result.messages))
            assert (await sandbox.read_file("out.txt")).strip() == "done"
    """
    monkeypatch.setenv("EVIL_API_KEY", "none")
    with content_server() as url:
        asked = (f"--agent-model-base-url={url}", "--agent-allow-local", "--agent-log-dir=logs")
        result = run(suite, *asked, "--min-pass-at-1=0.01", conftest=KEEP_RECORDS, model="openai-api/evil/m")
    found = {name[len("test_mode[") : -1]: record.attempts[0] for name, record in records(pytester.path).items()}
    assert {mode: attempt.outcome.value for mode, attempt in found.items()} == {
        mode: "passed" if mode in PASSES else "failed" for mode in MODES
    }
    assert {mode for mode, attempt in found.items() if attempt.tool_calls[0].error is not None} == FAILED_CALLS
    assert all(len(attempt.model_calls) == 2 for attempt in found.values())  # each went on after it
    (log,) = (pytester.path / "logs").glob("*.eval")
    texts = {
        sample.id.partition("[")[2][:-1]: [message.text for message in sample.messages]
        for sample in read_eval_log(str(log)).samples or ()
        if isinstance(sample.id, str)
    }
    assert texts.keys() == set(MODES)
    assert r"bad \ud800 text" in texts["surrogate_text"]
    assert obeyed(result.stdout.str()) == []
    assert "x" * 401 not in result.stdout.str()  # of a tool's name of 5,000 characters


SIDE = r"""
    import sys
    import pytest
    from inspect_ai.util import store
    from pytest_agenteval import agent_task

    EVIL = "\x1b[2J\x1b[32mPASS\x1b[0m\n::error::owned\n  ::add-mask::x\n##[error]o\r\x1b[K\u202eabc\x9b31m \ud800\0"

    def task(test):
        return agent_task(solution="echo done", answer=EVIL)(test)

    @task
    async def test_honest(agent):
        await agent.run("x")

    @task
    async def test_prompt(agent):
        await agent.run(EVIL)

    @task
    async def test_prints(agent):
        result = await agent.run("x")
        print(EVIL)
        print(EVIL, file=sys.stderr)
        print("m\n" * 2_000_000)
        assert result.answer == "expected"

    @task
    async def test_raises(agent):
        await agent.run("x")
        raise ValueError(EVIL + "m" * 5_000_000)

    @agent_task(solution="echo done", answer=EVIL, min_pass_rate=0)
    async def test_measured(agent):
        await agent.run("x")
        pytest.fail(EVIL)

    @task
    async def test_odd_keys(agent):
        await agent.run("x")
        store().set("a\ud800", {"\ud800": b"\xff", (1, 2): object()})

    @task
    async def test_no_end(agent):
        await agent.run("x")
        itself = []
        itself += [itself, itself]
        store().set("a", itself)

    @task
    async def test_deep(agent):
        await agent.run("x")
        deep = []
        for _ in range(50_000):
            deep = [deep]
        store().set("a", deep)

    @pytest.mark.parametrize("odd", [1], ids=["i\ud800\0\n::error::x \x1b[2J" + "x" * 5_000])
    @task
    async def test_id(agent, odd):
        await agent.run("x")
"""


@pytest.mark.parametrize("style", ["long", "native"])
def test_what_a_test_says_is_its_own_attempts_affair_and_inert(run: Run, pytester: pytest.Pytester, style: str) -> None:
    asked = ("--k=2", f"--tb={style}", "--agent-log-dir=logs", "-rA")
    result = run(SIDE, *asked, conftest=KEEP_RECORDS, model="agenteval/oracle")
    wrong = ("test_prints", "test_raises", "test_measured")
    for name, record in records(pytester.path).items():
        assert [a.outcome.value for a in record.attempts] == ["failed" if name in wrong else "passed"] * 2, name
    (log,) = (pytester.path / "logs").glob("*.eval")
    assert len(read_eval_log(str(log)).samples or ()) == 18
    shown = result.stdout.str()
    assert [line for line in obeyed(shown) if not line.startswith("::error title=")] == []
    assert r"\x1b[2J" in shown
    assert r"\::error::owned" in shown
    assert len(shown) < 600_000


def test_our_own_paths_are_not_redacted_and_every_form_of_a_secret_is(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'zq9!Vx/7+wé"ü%Lm42-Nn'
    monkeypatch.setenv("MY_SERVICE_KEY", secret)
    suite = """
        import os, pytest
        from pytest_agenteval import agent_task

        @pytest.mark.parametrize("key", [os.environ["MY_SERVICE_KEY"]])
        @agent_task(solution="true")
        async def test_it(agent, key):
            await agent.run("x")
            print({"k": key + "'"}, ascii(key), key.encode())
            assert key == "other"
    """
    reports = ("--junitxml=j.xml", "--agent-json=r.json", "--agent-comment=c.md", "--agent-html=r.html")
    asked = ("--showlocals", "--agent-log-dir=logs", "-o", "junit_logging=all", *reports)
    result = run("", *asked, files={"test_hf.py": suite}, model="agenteval/oracle")
    (log,) = (pytester.path / "logs").glob("*.eval")
    texts = {name: (pytester.path / name).read_text("utf-8") for name in ("j.xml", "r.json", "c.md", "r.html")}
    texts["c.md"] = html.unescape(texts["c.md"]).replace("<wbr>", "")
    texts["terminal"] = result.stdout.str()
    title = result.stdout.lines.index(next(line for line in result.stdout.lines if line.startswith("____")))
    texts["terminal"] = "\n".join([*result.stdout.lines[:title], *result.stdout.lines[title + 1 :]])
    for name in ("terminal", "r.json"):
        assert f"logs/{log.name}" in texts[name], name
    for name in texts:
        assert REDACTED in texts[name]
        if name != "terminal":  # pytest itself writes the id there
            assert "Lm42" not in texts[name], name
