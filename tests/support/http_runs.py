"""A suite of agent tasks run by pytest, in a process of its own, against the scripted server: what it said and kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log

from pytest_agenteval.record.records import AttemptRecord, ModelCall, TaskRecord, from_json
from support.forked_pytest import forked_pytest

__all__ = ["AGENT", "JUDGE", "HttpRun", "Serves", "all_calls", "run_suite"]

AGENT = "openai-api/scripted/agent-1"
JUDGE = "openai-api/scripted/judge"

CONFTEST = """
import json, os, pathlib, time
import tenacity
from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI

import pytest_agenteval.engine.eval.tries as trial
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
        from pytest_agenteval.record.records import to_json

        with open(HERE / "records.jsonl", "a") as file:
            print(json.dumps(to_json(report.agenteval)), file=file)
"""
"""Retries without waits; and what the terminal does not show is written down: every record, and the end of a budget."""


class Serves(Protocol):
    """A server of chat completions."""

    @property
    def environment(self) -> Mapping[str, str]:
        """In which Inspect's `openai-api/scripted/...` reaches it."""


@dataclass(frozen=True)
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

    @cached_property
    def task_records(self) -> list[TaskRecord]:
        """Of every task, in the order of their reports."""
        path = self.folder / "records.jsonl"
        return [from_json(json.loads(line)) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    @cached_property
    def records(self) -> dict[tuple[str, str], TaskRecord]:
        """By the test's name and the model's last part (`agent-1`)."""
        return {
            (record.task.split("::")[1].split("[")[0], record.cell.model.split("/")[-1]): record
            for record in self.task_records
        }

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

    @cached_property
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


def run_suite(
    folder: Path,
    server: Serves,
    suite: str | Mapping[str, str],
    *arguments: str,
    k: int = 1,
    models: Iterable[str] = (AGENT,),
    prices: Mapping[str, Mapping[str, float]] | None = None,
    sandbox: str = "local",
    environment: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> HttpRun:
    """Run a suite (one module, or several by name) against the server, k attempts at each task."""
    files = {"test_suite.py": suite} if isinstance(suite, str) else dict(suite)
    options = ["-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "-q", "--agent-log-dir=logs", f"--k={k}"]
    options += [f"--agent-sandbox={sandbox}", "--agent-allow-local", *(f"--agent-model={model}" for model in models)]
    if prices is not None:
        files["prices.toml"] = "\n".join(_price_row(model, row) for model, row in prices.items())
        options.append("--agent-prices=prices.toml")
    (folder / "records.jsonl").unlink(missing_ok=True)  # of an earlier run in the same folder
    for name, text in {**files, "conftest.py": CONFTEST, "pytest.ini": "[pytest]\n"}.items():
        (folder / name).write_text(text, "utf-8")
    surroundings = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "140"}
    run = forked_pytest(
        folder,
        [*options, *arguments],
        {**os.environ, **server.environment, **surroundings, **(environment or {})},
        timeout=timeout,
    )
    return HttpRun(folder, int(run.ret), run.outlines, run.errlines)


def all_calls(attempts: Iterable[AttemptRecord]) -> list[ModelCall]:
    """The answered model calls of all tries of attempts."""
    calls: list[ModelCall] = []
    for attempt in attempts:
        calls += [call for retry in attempt.retries for call in retry.model_calls]
        calls += attempt.model_calls
    return calls


def _price_row(model: str, row: Mapping[str, float]) -> str:
    return "\n".join([f'[models."{model}"]', *(f"{key} = {price}" for key, price in row.items()), ""])
