"""An attempt's record as the metadata of its score, and back: what the summaries of a log keep of it.

Inspect's summaries, which are read hundreds of times faster than whole logs, drop every value of a score's metadata
that is longer than 1,024 characters as JSON, and shorten texts. So the record is cut into pieces that stay below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from inspect_ai.scorer import Score
from pydantic import TypeAdapter, ValidationError

from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, Retry, ToolCall, total_of
from pytest_agenteval.record.stored import MOST_K
from pytest_agenteval.record.tool_calls import ToolCalls

__all__ = ["record_of", "score_of"]

_PIECE = 1000
"""Characters of JSON: a little below Inspect's limit."""
_MESSAGE, _STEP = 2000, 300
_STORED: TypeAdapter[AttemptRecord] = TypeAdapter(AttemptRecord)


def score_of(record: AttemptRecord) -> Score:
    """The score of an attempt: 1 or 0 if it counts, else nan; the first facts readable, the whole in pieces."""
    return Score(
        value=float(record.outcome is Outcome.PASSED) if record.outcome.counts else math.nan,
        answer=record.answer,
        explanation=record.message or None,
        metadata={
            "outcome": record.outcome.value,
            "cause": record.cause.value if record.cause else None,
            "cost": record.cost,
            "own_cost": total_of(call.cost for call in record.model_calls),
            "retries": len(record.retries),
            "exception": record.exception,
            "where": record.where,
            "tool_calls": len(record.tool_calls),
            "tool_failures": ToolCalls.of(record.tool_calls).failed,
            "fingerprint": record.fingerprint,
            **_pieces(_STORED.dump_json(_stored(record), exclude_defaults=True).decode()),
        },
    )


def record_of(metadata: Mapping[str, Any], log: str) -> AttemptRecord | None:
    """The record that :func:`score_of` wrote, with the log that it was read from; None if there is none.

    Arguments of tool calls are left out, texts cut: the log has them whole.

    Raises:
        ValueError: there is one, and it is damaged.
    """
    pieces = sorted((key, value) for key, value in metadata.items() if key.startswith("record."))
    if not pieces:
        return None
    try:
        record = _STORED.validate_json("".join(value[0] for _, value in pieces))
    except (ValidationError, TypeError, LookupError):
        raise ValueError("the record of an attempt is damaged") from None
    if not 1 <= record.number <= MOST_K or not all(0 <= amount < math.inf for amount in _amounts(record)):
        raise ValueError(f"the record of attempt {record.number} has a number that cannot be")
    return replace(record, log=log)


def _amounts(record: AttemptRecord) -> Iterator[float]:
    """Every number in it that is none below zero, and no NaN."""
    tries: tuple[AttemptRecord | Retry, ...] = (record, *record.retries)
    calls = [call for each in tries for call in (*each.model_calls, *each.asking)]
    tools = [call for each in tries for call in each.tool_calls]
    yield from (each.lost_calls for each in tries)
    known: list[tuple[float | None, ...]] = [
        *((c.input_tokens, c.output_tokens, c.cache_read_tokens, c.cache_write_tokens, c.retries) for c in calls),
        *((call.cost, call.cost_at_most, call.seconds, call.cost_uncached) for call in calls),
        *((call.seconds,) for call in tools),
        *((each.wall_seconds, each.lost_cost) for each in tries),
        (record.working_seconds, record.sandbox_wait_seconds),
        (None if record.confidence is None else record.confidence.value,),
    ]
    yield from (amount for amounts in known for amount in amounts if amount is not None)


def _stored(record: AttemptRecord) -> AttemptRecord:
    return replace(
        record,
        message=_text(record.message, _MESSAGE),
        answer=record.answer and _text(record.answer, _STEP),
        last_steps=tuple(_text(step, _STEP) for step in record.last_steps),
        tool_calls=_without_arguments(record.tool_calls),
        retries=tuple(
            replace(each, message=_text(each.message, _MESSAGE), tool_calls=_without_arguments(each.tool_calls))
            for each in record.retries
        ),
        log=None,
        sandbox_kept=None,
    )


def _without_arguments(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    return tuple(replace(call, arguments="", message=call.message and _text(call.message, _STEP)) for call in calls)


def _text(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _pieces(text: str) -> dict[str, list[str]]:
    pieces: dict[str, list[str]] = {}
    while text:
        size = _PIECE
        while (written := len(json.dumps([text[:size]]))) > _PIECE:
            size = min(size - 1, size * _PIECE // written)
        pieces[f"record.{len(pieces):04}"] = [text[:size]]
        text = text[size:]
    return pieces
