"""`.eval` logs of a run that never was, written by Inspect: for what reads many of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile

from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, EvalStats, write_eval_log
from inspect_ai.model import ChatMessageUser, ModelOutput

from pytest_agenteval.engine.logs.files import roster
from pytest_agenteval.engine.logs.scorecard import score_of
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, ToolCall
from pytest_agenteval.record.stored import StoredTask

__all__ = ["as_killed", "write_logs"]


def write_logs(
    folder: Path,
    *,
    suites: int,
    tasks: int,
    k: int,
    model_calls: int = 10,
    tool_calls: int = 20,
    prompt: str = "Fix it.",
) -> list[Path]:
    """The logs of a run over so many suites, a log each, a second apart.

    Args:
        folder: where they go.
        suites: how many.
        tasks: of each suite.
        k: attempts at each task, of which four of five pass.
        model_calls: of each attempt.
        tool_calls: of each attempt, of which every tenth failed.
        prompt: what the agent was told.
    """
    cell = Cell("openai/gpt-5-mini", "react")
    calls = tuple(
        ModelCall("openai/gpt-5-mini", "agent", 1000 + n, 100 + n, 500, 0, 0.001 * n, 1.5, version="gpt-5-mini-2025")
        for n in range(model_calls)
    )
    tools = tuple(ToolCall("bash", "", 0.5, "timeout" if n % 10 == 0 else None, None, n % 3) for n in range(tool_calls))
    identity = dict.fromkeys(("its body", "its image", "its options", "the model"), "0123456789abcdef")
    written = []
    for suite in range(suites):
        name, began = f"test_suite_{suite:03}.py", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=suite)
        names = [f"{name}::test_task_{task:02}" for task in range(tasks)]
        samples = []
        for number, task in enumerate(names):
            for attempt in range(1, k + 1):
                passed = (number + attempt) % 5 > 0
                record = AttemptRecord(
                    attempt,
                    Outcome.PASSED if passed else Outcome.FAILED,
                    message="" if passed else "assert '4' == '5'\n" * 10,
                    exception=None if passed else "AssertionError",
                    where=None if passed else f"{name}:12",
                    model_calls=calls,
                    tool_calls=tools,
                    wall_seconds=30.0,
                    last_steps=("bash(command='ls') -> calc.py",) * 5,
                    run="run",
                    ended=f"2026-01-01T01:{number:02}:{attempt:02}.000+00:00",
                )
                samples.append(
                    EvalSample(
                        id=task,
                        epoch=attempt,
                        input=prompt,
                        target="",
                        messages=[ChatMessageUser(content=prompt)],
                        output=ModelOutput(),
                        scores={"passed": score_of(record)},
                    )
                )
        spec = EvalSpec(
            created=began.isoformat(),
            task=name,
            dataset=EvalDataset(name=name, samples=len(names)),
            model=cell.model,
            config=EvalConfig(epochs=k),
            metadata={
                "session": "run",
                "invocation": "run",
                "pytest_agenteval": "0",
                "k": k,
                "suite": name,
                "tasks": roster(StoredTask(task, cell, identity=identity) for task in names),
            },
        )
        log = EvalLog(status="success", eval=spec, stats=EvalStats(), samples=samples)
        written.append(folder / f"{began:%Y-%m-%dT%H-%M-%S}_{suite}.eval")
        write_eval_log(log, str(written[-1]))
    return written


def as_killed(log: Path, path: Path) -> Path:
    """The log as `kill -9` leaves it: a journal among the samples, an entry for each, and nothing at its end."""
    with ZipFile(log) as whole, ZipFile(path, "w") as killed:
        names = [name for name in whole.namelist() if name.startswith("samples/")]
        summaries = json.loads(whole.read("summaries.json"))
        killed.writestr("_journal/start.json", whole.read("_journal/start.json"))
        for number, (name, summary) in enumerate(zip(names, summaries, strict=True), 1):
            killed.writestr(name, whole.read(name))
            killed.writestr(f"_journal/summaries/{number}.json", json.dumps([summary]))
    return path
