"""Records made by hand: a task as a string with one letter an attempt."""

from __future__ import annotations

from typing import Any

from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, Retry, TaskRecord, ToolCall

CELL = Cell("openai/gpt-5-mini", "react")
OTHER = Cell("anthropic/claude-haiku-4-5", "react")

OUTCOMES = {
    "p": (Outcome.PASSED, None),
    "f": (Outcome.FAILED, None),
    "l": (Outcome.LIMIT, Cause.TURNS),
    "e": (Outcome.ENVIRONMENT_ERROR, Cause.SANDBOX),
    "b": (Outcome.BROKEN, Cause.SETUP),
    "n": (Outcome.NOT_RUN, Cause.BUDGET),
    "c": (Outcome.NOT_RUN, Cause.CANCELLED),
    "s": (Outcome.SKIPPED, None),
}


def model_call(cost: float | None) -> ModelCall:
    return ModelCall("openai/gpt-5-mini", "agent", input_tokens=100, output_tokens=10, cost=cost)


def tool_call(error: str | None = None, exit_code: int | None = None, tool: str = "bash") -> ToolCall:
    return ToolCall(tool, "{}", error=error, exit_code=exit_code)


def retry(cost: float | None = 0.0, **fields: Any) -> Retry:
    return Retry(Cause.SANDBOX, "the container is gone", model_calls=(model_call(cost),), **fields)


def attempt(letter: str, number: int = 1, cost: float | None = 0.0, **fields: Any) -> AttemptRecord:
    outcome, cause = OUTCOMES[letter]
    calls = () if outcome in (Outcome.NOT_RUN, Outcome.SKIPPED) else (model_call(cost),)
    return AttemptRecord(number, outcome, **({"cause": cause, "model_calls": calls} | fields))


def task(
    letters: str, name: str = "t.py::test_it", k: int | None = None, cost: float | None = 0.0, **fields: Any
) -> TaskRecord:
    attempts = tuple(attempt(letter, number, cost) for number, letter in enumerate(letters, 1))
    return TaskRecord(name, fields.pop("cell", CELL), k or len(letters), attempts, **fields)


def task_of(*attempts: AttemptRecord, name: str = "t.py::test_it", **fields: Any) -> TaskRecord:
    return TaskRecord(name, fields.pop("cell", CELL), fields.pop("k", len(attempts)), attempts, **fields)
