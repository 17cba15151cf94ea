"""Whatever a server answers, each attempt ends in its row of the table, and the attempts beside it do not notice."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.hostile_modes import MODES, POISON, RETRIES, TRIES, UNKNOWN_USAGE
from support.hostile_server import HostileServer
from support.http_runs import AGENT, HttpRun, run_suite

from pytest_agenteval.record.records import AttemptRecord

SERVED = {**MODES, **POISON, **UNKNOWN_USAGE}

HONEST = """
import pytest
from pytest_agenteval import agent_task

async def work(mode, agent, sandbox):
    await agent.run(f"MODE={mode} Write done to out.txt.")
    assert (await sandbox.read_file("out.txt")).strip() == "done"

@pytest.mark.parametrize("number", range(3))
async def test_honest(number, agent, sandbox):
    await work("honest", agent, sandbox)

async def test_honest_and_wrong(agent, sandbox):
    await work("no_content", agent, sandbox)
"""
HOSTILE = """
@pytest.mark.parametrize("mode", MODES)
@agent_task(turn_limit=6)
async def test_hostile(mode, agent, sandbox):
    await work(mode, agent, sandbox)

@agent_task(time_limit=6)
async def test_slow(agent, sandbox):
    await work("trickle", agent, sandbox)
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}


def _run(folder: Path, server: HostileServer, suite: str, *arguments: str) -> HttpRun:
    return run_suite(
        folder,
        server,
        suite,
        f"--agent-generate=max_retries={RETRIES}",
        f"--agent-env-retries={TRIES - 1}",
        "--agent-model-arg=client_timeout=6",
        "--agent-concurrency=24",
        f"--junitxml={folder}/junit.xml",
        f"--agent-json={folder}/report.json",
        f"--agent-html={folder}/report.html",
        f"--agent-comment={folder}/comment.md",
        *arguments,
        prices=PRICES,
        k=1,
        timeout=300,
    )


@dataclass(frozen=True, slots=True)
class Beside:
    """The run with the hostile modes, and one of the honest tasks alone."""

    run: HttpRun
    alone: HttpRun
    asked: Mapping[str, int]

    def attempt(self, mode: str) -> AttemptRecord:
        """The one attempt at a mode."""
        name = "test_slow" if mode == "trickle" else f"test_hostile[{mode}]"
        (found,) = [record for record in self.run.task_records if record.task.endswith(f"::{name}")]
        (attempt,) = found.attempts
        return attempt


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Beside:
    names = [name for name in SERVED if name not in ("honest", "trickle")]
    with HostileServer({name: mode.replies for name, mode in SERVED.items()}) as server:
        alone = _run(tmp_path_factory.mktemp("alone"), server, HONEST)
        server.asked.clear()
        run = _run(tmp_path_factory.mktemp("beside"), server, f"{HONEST}\nMODES = {names}\n{HOSTILE}")
        return Beside(run, alone, dict(server.asked))


def test_there_are_forty_modes_at_least() -> None:
    assert len(MODES) >= 40


@pytest.mark.parametrize("name", [name for name in SERVED if name != "honest"])
def test_a_mode_ends_in_its_row(beside: Beside, name: str) -> None:
    mode, attempt = SERVED[name], beside.attempt(name)
    ended = attempt.outcome.value + (f"/{attempt.cause.value}" if attempt.cause else "")
    assert ended == mode.ended, attempt.message
    assert attempt.message.partition("\n")[0].startswith(mode.says) or mode.says in attempt.message.partition("\n")[0]
    assert "Request:" not in attempt.message
    if mode.asked is not None and name != "no_content":
        assert beside.asked[name] == mode.asked


def _figures(run: HttpRun) -> dict[str, object]:
    found: dict[str, object] = {}
    for record in run.task_records:
        if "::test_honest" in record.task:
            (attempt,) = record.attempts
            calls = [(c.input_tokens, c.output_tokens, c.cost, c.retries) for c in attempt.model_calls]
            tools = [(c.tool, c.arguments, c.error, c.exit_code) for c in attempt.tool_calls]
            found[record.task] = (attempt.outcome, attempt.exception, attempt.where, calls, tools, attempt.retries)
    return found


def test_the_honest_tasks_have_the_figures_of_a_run_without_the_others(beside: Beside) -> None:
    assert _figures(beside.run) == _figures(beside.alone)
    assert len(_figures(beside.run)) == 4
    assert [a.outcome.value for r in beside.alone.task_records for a in r.attempts].count("passed") == 3


def test_the_run_is_judged(beside: Beside) -> None:
    assert beside.run.code == 1  # the agents of some modes failed
    assert "INTERNALERROR" not in beside.run.text
    assert "looks like a bug in the test" not in beside.run.text
    costs = {r.task: a.cost for r in beside.run.task_records for a in r.attempts}
    unknown = [task for task, cost in costs.items() if cost is None]
    assert sorted(task.partition("[")[2] for task in unknown) == ["usage_missing]", "usage_negative]"]
    assert all(math.isfinite(cost) for cost in costs.values() if cost is not None)


TOLD = ("status_401", "status_500", "credit_400", "unknown_400", "context_vllm", "content_grok", "choices_null")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> HttpRun:
    suite = f"{HONEST}\nMODES = {TOLD}\n{HOSTILE}"
    with HostileServer({name: mode.replies for name, mode in MODES.items()}) as server:
        return _run(tmp_path_factory.mktemp("told"), server, suite, "-v", "-k", "test_hostile")


@pytest.mark.parametrize("file", ["stdout.txt", "junit.xml", "report.json", "report.html", "comment.md"])
def test_what_the_provider_said_stands_in_every_report_and_what_it_was_asked_in_none(told: HttpRun, file: str) -> None:
    text = " ".join(html.unescape((told.folder / file).read_text("utf-8")).split())
    for name in TOLD:
        assert MODES[name].says in text
    for asked in ("x-irid", "Request:", "BadRequestError", "FinalRequestOptions", '"parameters"'):
        assert asked not in text or file == "report.html"  # which shows conversations whole


def test_of_a_refused_conversation_nothing_is_shown_but_what_the_provider_said(told: HttpRun) -> None:
    (line,) = [line for line in told.lines if line.startswith("FAILED") and "unknown_400" in line]
    assert line.endswith("- Failed: attempt 1: HTTP 400: tool schemas must not have defaults")
