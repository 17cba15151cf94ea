"""A suite of agent tasks run by pytest, in a process of its own, against the scripted server: what it said and kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from support.forked_pytest import forked_pytest
from support.scripted_server import ScriptedServer

from pytest_agenteval.records import AttemptRecord, ModelCall, Retry, TaskRecord, from_json

__all__ = ["AGENT", "JUDGE", "HttpRun", "all_calls", "prepare_suite", "read_run", "run_suite"]

AGENT = "openai-api/scripted/agent-1"
JUDGE = "openai-api/scripted/judge"

CONFTEST = """
import json, os, pathlib, time
import tenacity
from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI

import pytest_agenteval.engine.trial as trial
from pytest_agenteval.money import budget

HERE = pathlib.Path(__file__).parent
WAIT = float(os.environ.get("SCRIPTED_RETRY_WAIT", "0"))
OpenAICompatibleAPI.retry_wait = lambda self: tenacity.wait_fixed(WAIT)
trial.wait_exponential_jitter = lambda **_: tenacity.wait_none()


class Told(budget.BudgetExhausted):
    def __init__(self, **figures):
        super().__init__(**figures)
        with open(HERE / "exhausted.txt", "a") as file:
            print(time.time(), file=file)


budget.BudgetExhausted = Told


def pytest_runtest_logreport(report):
    if hasattr(report, "agenteval"):
        with open(HERE / "records.jsonl", "a") as file:
            print(json.dumps(report.agenteval), file=file)
"""
"""Retries without waits; and what the terminal does not show is written down: every record, and the end of a budget."""


@dataclass(frozen=True, slots=True)
class HttpRun:
    """A run that is over."""

    folder: Path
    code: int
    lines: Sequence[str]
    errors: Sequence[str]

    @property
    def text(self) -> str:
        """Everything on stdout."""
        return "\n".join(self.lines)

    @property
    def records(self) -> dict[tuple[str, str], TaskRecord]:
        """By the test's name and the model's last part (`agent-1`)."""
        path = self.folder / "records.jsonl"
        found = [from_json(json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        return {(record.task.split("::")[1].split("[")[0], record.cell.model.split("/")[-1]): record for record in found}

    def attempts(self, task: str, model: str = "agent-1") -> tuple[AttemptRecord, ...]:
        """The attempts at the test of this name."""
        return self.records[task, model].attempts

    def ended(self, task: str, model: str = "agent-1") -> list[str]:
        """How the attempts ended: `passed`, `limit/time`, in the order of their numbers."""
        return [a.outcome.value + (f"/{a.cause.value}" if a.cause else "") for a in self.attempts(task, model)]

    def seen(self, task: str) -> dict[str, Any]:
        """What the suite itself wrote down about a task."""
        lines = (self.folder / "seen.jsonl").read_text("utf-8").splitlines()
        (found,) = [seen for line in lines if (seen := json.loads(line)).pop("task") == task]
        return dict(found)

    @property
    def exhausted_at(self) -> list[float]:
        """When calls were refused for lack of money, in seconds since the epoch."""
        path = self.folder / "exhausted.txt"
        return [float(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def logs(self) -> list[EvalLog]:
        """All logs, read whole."""
        return [read_eval_log(info) for info in list_eval_logs(str(self.folder / "logs"))]

    def rows(self, cell: str, scaffold: str = "react") -> dict[str, list[str]]:
        """The words of each row of the table of a cell (a part of the model's name), by the test's name."""
        start = next(n for n, line in enumerate(self.lines) if re.search(rf"{cell} · {scaffold},", line))
        rows = (line.split() for line in self.lines[start + 2 :])
        found = {}
        for words in rows:
            if not words or words[0] == "tool:":
                break
            found[words[0].split("[")[0]] = words[1:]
        return found

    def block(self, cell: str, scaffold: str = "react") -> str:
        """The lines under the table of a cell, as one line without bars."""
        start = next(n for n, line in enumerate(self.lines) if re.search(rf"{cell} · {scaffold},", line))
        end = next(n for n in range(start, len(self.lines)) if not self.lines[n].strip())
        return " | ".join(line.strip() for line in self.lines[start:end] if line.startswith("  "))

    def gate(self, name: str) -> str:
        """The verdict lines of a gate, their words joined by blanks."""
        start = next(n for n, line in enumerate(self.lines) if re.match(rf"(PASS|FAIL|UNDECIDED) +{name}", line))
        end = start + 1
        while self.lines[end].startswith(" " * 10):
            end += 1
        return " ".join(" ".join(self.lines[start:end]).split())

    @property
    def status_line(self) -> str:
        """The last words: `exit 10: ...`."""
        start = next(n for n in range(len(self.lines) - 1, -1, -1) if self.lines[n].startswith("exit "))
        end = start + 1
        while end < len(self.lines) and self.lines[end].startswith("  "):
            end += 1
        return " ".join(line.strip() for line in self.lines[start:end])


def prepare_suite(
    folder: Path, suite: str | Mapping[str, str], prices: Mapping[str, Mapping[str, float]] | None = None
) -> list[str]:
    """Write the suite (one module, or several by name), its conftest and its prices; return the arguments for them."""
    suites = {"test_suite.py": suite} if isinstance(suite, str) else suite
    for name, text in suites.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    if prices is None:
        return []
    rows = [f'[models."{name}"]\n' + "".join(f"{key} = {value}\n" for key, value in row.items()) for name, row in prices.items()]
    (folder / "prices.toml").write_text("\n".join(rows), "utf-8")
    return ["--agent-prices=prices.toml"]


def run_suite(
    folder: Path,
    server: ScriptedServer,
    suite: str | Mapping[str, str],
    *arguments: str,
    k: int = 1,
    models: Iterable[str] = (AGENT,),
    prices: Mapping[str, Mapping[str, float]] | None = None,
    sandbox: str = "local",
    environment: Mapping[str, str] | None = None,
) -> HttpRun:
    """Run a suite against the server, k attempts of each task, without waits between retries."""
    priced = prepare_suite(folder, suite, prices)
    run = forked_pytest(
        folder,
        [*command(models, k, sandbox), *priced, *arguments],
        {**os.environ, **server.environment, **SURROUNDINGS, **(environment or {})},
        timeout=120,
    )
    return read_run(folder, int(run.ret), run.outlines, run.errlines)


SURROUNDINGS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "140"}


def command(models: Iterable[str], k: int, sandbox: str = "local") -> list[str]:
    """The options that every run has."""
    return [
        "-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "-q", f"--k={k}", f"--agent-sandbox={sandbox}", "--agent-allow-local",
        "--agent-log-dir=logs", *(f"--agent-model={model}" for model in models),
    ]  # fmt: skip


def read_run(folder: Path, code: int, lines: Sequence[str], errors: Sequence[str]) -> HttpRun:
    """What a run left."""
    return HttpRun(folder, code, lines, errors)


def all_calls(attempts: Iterable[AttemptRecord]) -> list[ModelCall]:
    """The answered model calls of all tries of attempts."""
    tries: list[AttemptRecord | Retry] = [one for attempt in attempts for one in (*attempt.retries, attempt)]
    return [call for one in tries for call in one.model_calls]
