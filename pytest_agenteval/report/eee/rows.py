"""One row of the instances' file: an attempt with its outcome, its conversation, and everything it used."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, ModelCall, Retry, TaskRecord, ToolCall, name_of, total_of
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.eee.messages import Said
from pytest_agenteval.report.eee.plain import Clean, plain
from pytest_agenteval.report.eee.results import COUNTED, PASS_AT_1

__all__ = ["belonging", "log_name", "row", "sample_hash", "sample_ids"]

AGENT = "agent"
"""The role of the calls that the agent itself made."""


CHOSEN = "chosen_by_early_stopping"
"""It counts, but the outcomes of others decided whether it ran, so no pass rate may be computed from it."""
OF_A_SKIPPED_TASK = "of_a_skipped_task"


def belonging(task: TaskRecord, attempt: AttemptRecord, *, thinned: bool, every_first: bool) -> str:
    """The result of the aggregate that the attempt's row belongs to, or another name if it is in no estimate.

    Args:
        task: the attempt's task.
        attempt: the attempt.
        thinned: whether early stopping kept attempts of the cell from running.
        every_first: whether every task was certain to get its first attempt.
    """
    if task.skipped:
        return OF_A_SKIPPED_TASK
    if not attempt.outcome.counts:
        return COUNTED
    if thinned and not (every_first and attempt.number == 1):
        return CHOSEN
    return PASS_AT_1


def row(task: TaskRecord, attempt: AttemptRecord, said: Said, clean: Clean) -> dict[str, Any]:
    """The row of an attempt, without what names it; `said` is already free of secrets.

    The schema requires a score and `is_correct` for every row and has no missing value. An attempt that does not count
    therefore belongs to another result than pass@1: the share of wanted attempts that count, to which it truly
    contributes 0. It is not correct, and `error` says why it does not count.
    """
    passed = attempt.outcome is Outcome.PASSED
    calls = [call for call in attempt.model_calls if call.role == AGENT]
    return {
        "sample_hash": None if said.prompt is None else sample_hash(said.prompt, []),
        "interaction_type": "agentic",
        "input": {"raw": said.prompt or "", "formatted": None, "reference": [], "choices": None},
        "output": None,
        "messages": list(said.messages),
        "answer_attribution": plain(_answer(attempt, said.messages), clean),
        "evaluation": {
            "score": float(passed),
            "is_correct": passed,
            "num_turns": len(calls) or None,
            "tool_calls_count": len(attempt.tool_calls),
        },
        "token_usage": _tokens(calls),
        "performance": {
            "latency_ms": attempt.wall_seconds * 1000 or None,
            "time_to_first_token_ms": None,
            "generation_time_ms": _milliseconds(calls),
            "additional_details": _texts(plain(_spending(attempt), clean)),
        },
        "error": plain(_error(attempt), clean),
        "metadata": _texts(plain({**_facts(task, attempt), "conversation_cut": said.cut or None}, clean)),
    }


def sample_ids(tasks: Collection[TaskRecord], clean: Clean) -> dict[str, str]:
    """The names of a cell's tasks, by their node ids: the same in all cells, and unique."""
    short: dict[str, str] = {task.task: plain(name_of(task), clean) for task in tasks}
    shared = Counter(short.values())
    return {
        task: name
        if shared[name] == 1
        else f"{plain(task, clean)}#{hashlib.sha256(repr(task).encode()).hexdigest()[:8]}"
        for task, name in short.items()
    }


def sample_hash(raw: str, reference: Sequence[str]) -> str:
    """The digest that identifies the same sample in other files: of the canonical JSON of `{"raw", "reference"}`."""
    text = json.dumps({"raw": raw, "reference": list(reference)}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _answer(attempt: AttemptRecord, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if attempt.answer is None:
        return []
    last = max((message["turn_idx"] for message in messages if message["role"] == "assistant"), default=0)
    return [
        {
            "turn_idx": last,
            "source": "messages[turn_idx]",
            "extracted_value": attempt.answer,
            "extraction_method": "submission of the agent; what passed is decided by the test, on the end state",
            "is_terminal": True,
        }
    ]


def _tokens(calls: Sequence[ModelCall]) -> dict[str, Any] | None:
    """None if the number is unknown, because the schema has no word for that."""
    counts = {
        "input_tokens": total_of(call.input_tokens for call in calls),
        "output_tokens": total_of(call.output_tokens for call in calls),
        "total_tokens": total_of(call.tokens for call in calls),
        "input_tokens_cache_write": total_of(call.cache_write_tokens for call in calls),
        "input_tokens_cache_read": total_of(call.cache_read_tokens for call in calls),
    }
    return {**counts, "reasoning_tokens": None} if calls and None not in counts.values() else None


def _milliseconds(calls: Sequence[ModelCall]) -> float | None:
    seconds = [call.seconds for call in calls if call.seconds is not None]
    return sum(seconds) * 1000 if calls and len(seconds) == len(calls) else None


def _spending(attempt: AttemptRecord) -> dict[str, Any]:
    roles = sorted({call.role for call in attempt.model_calls} - {AGENT})
    by_role = {role: [call for call in attempt.model_calls if call.role == role] for role in roles}
    return {
        "cost_usd": attempt.cost if attempt.model_calls or attempt.retries else None,
        "cost_usd_of_last_try": total_of(call.cost for call in attempt.model_calls) if attempt.model_calls else None,
        "other_roles": [
            {
                "role": role,
                "model_calls": len(calls),
                "total_tokens": total_of(call.tokens for call in calls),
                "cost_usd": total_of(call.cost for call in calls),
            }
            for role, calls in by_role.items()
        ]
        or None,
        "lost_calls": attempt.lost_calls,
        "provider_retries": sum(call.retries for call in attempt.model_calls),
        "working_seconds": attempt.working_seconds,
        "sandbox_wait_seconds": attempt.sandbox_wait_seconds,
    }


def _error(attempt: AttemptRecord) -> str | None:
    """What went wrong, unless the agent simply did not solve the task."""
    plain = attempt.outcome is Outcome.PASSED or (attempt.outcome is Outcome.FAILED and attempt.cause is None)
    if plain:
        return None
    kind = attempt.outcome.value + (f" ({attempt.cause.value})" if attempt.cause else "")
    return f"{kind}: {attempt.message}" if attempt.message else kind


def _facts(task: TaskRecord, attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "node_id": task.task,
        "suite": task.task.split("::")[0],
        "attempt": attempt.number,
        "k": task.k,
        "outcome": attempt.outcome.value,
        "cause": attempt.cause.value if attempt.cause else None,
        "counts": attempt.outcome.counts,
        "message": attempt.message or None,
        "exception": attempt.exception,
        "where": attempt.where,
        "tool_call_failures": ToolCalls.of(attempt.tool_calls).failed,
        "tool_call_log": [_call(call) for call in attempt.tool_calls],
        "retries": len(attempt.retries),
        "retry_log": [_retry(retry) for retry in attempt.retries] or None,
        "image": attempt.image,
        "model_versions": list(attempt.model_versions) or None,
        "fingerprint": attempt.fingerprint,
        "task_source": task.source,
        "run": attempt.run,
        "ended": attempt.ended,
        "inspect_log": None if attempt.log is None else log_name(attempt.log),
    }


def log_name(log: str) -> str:
    """The name of a log without its folder, which is private."""
    return log.replace("\\", "/").rsplit("/", 1)[-1]


def _call(call: ToolCall) -> dict[str, Any]:
    return _known({
        "tool": call.tool,
        "arguments": call.arguments or None,  # stored records leave them to the messages
        "seconds": call.seconds,
        "error": call.error,
        "message": call.message,
        "exit_code": call.exit_code,
    })  # fmt: skip


def _retry(retry: Retry) -> dict[str, Any]:
    return _known({
        "cause": retry.cause.value,
        "message": retry.message,
        "cost_usd": retry.cost,
        "total_tokens": total_of(call.tokens for call in retry.model_calls),
        "wall_seconds": retry.wall_seconds,
        "tool_calls": len(retry.tool_calls),
        "tool_call_failures": ToolCalls.of(retry.tool_calls).failed,
        "lost_calls": retry.lost_calls,
    })  # fmt: skip


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """What is known, as text, because the schema accepts nothing else here."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in _known(values).items()}
