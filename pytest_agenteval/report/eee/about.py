"""What a cell's aggregate contains besides its results: tasks, model, sandboxes and limits."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pytest_agenteval.estimate.run import CellSummary
from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from pytest_agenteval.report.eee.identity import ModelIdentity
from pytest_agenteval.report.eee.plain import Clean, plain

__all__ = ["Limits", "generation_config", "model_info", "source_data"]

Limits = Mapping[str, float | None]
"""The limits of an attempt at a task by the option's name (`time_limit`, ...); None means no limit."""

_OF_THE_SCHEMA = ("time_limit", "message_limit", "token_limit")
_SANDBOX = {frozenset({True}): "docker", frozenset({False}): "none", frozenset({True, False}): "mixed"}


def source_data(tasks: Sequence[TaskRecord], collection: str, clean: Clean) -> dict[str, Any]:
    """Where the samples are from."""
    kept = [task for task in tasks if not task.skipped]
    return {
        "dataset_name": collection,
        "source_type": "other",
        "additional_details": {
            "samples_number": str(len(kept)),
            "suites": _list({task.task.split("::")[0] for task in kept}, clean),
            "runs": _list({a.run for task in kept for a in task.attempts if a.run is not None}, clean),
        },
    }


def generation_config(
    cell: CellSummary, tasks: Sequence[TaskRecord], setup: str | None, limits: Sequence[Limits], clean: Clean
) -> dict[str, Any]:
    """How the attempts were made.

    Args:
        cell: the summary of the cell.
        tasks: the tasks of the cell.
        setup: how the model was configured, as text; None if nothing was set.
        limits: those of the tasks whose limits are known.
        clean: removes secrets from a text.
    """
    counted = _counted(tasks)
    images = sorted({attempt.image for attempt in counted if attempt.image is not None})
    first = limits[0].items() if limits else ()
    common = {name: value for name, value in first if all((name, value) in each.items() for each in limits)}
    return {
        "generation_args": {
            "agentic_eval_config": {
                "additional_details": {
                    "agent_name": plain(cell.cell.scaffold, clean),
                    "agent_framework": "pytest-agenteval on inspect_ai",
                }
            },
            "eval_limits": {
                name: round(value) for name, value in common.items() if name in _OF_THE_SCHEMA and value is not None
            }
            or None,
            "sandbox": {
                "type": _SANDBOX.get(frozenset(attempt.image is not None for attempt in counted)),
                "config": images[0] if len(images) == 1 else _list(images, clean),
            },
        },
        "additional_details": {
            "runs": str(cell.k),
            "limits_per_attempt": json.dumps(common) if common else None,
            "total_cost_usd": None if cell.cost.total is None else repr(cell.cost.total),
            "unpriced_calls": str(cell.cost.unpriced_calls),
            "uncounted_calls": str(cell.cost.uncounted_calls),
            "model_setup": plain(setup, clean) or None,
            "notes": _list({note for task in tasks for note in task.notes}, clean),
        },
    }


def model_info(cell: CellSummary, model: ModelIdentity, tasks: Sequence[TaskRecord], clean: Clean) -> dict[str, Any]:
    """The model: its name, and the versions that answered."""
    versions = {version for attempt in _counted(tasks) for version in attempt.model_versions}
    return {
        "name": model.name,
        "id": model.id,
        "developer": model.developer,
        "inference_platform": model.platform,
        "inference_engine": None if model.engine is None else {"name": model.engine},
        "additional_details": {
            "deployment_type": model.deployment,
            "model_availability": "unknown",
            "answered_as": _list(versions, clean),
            "rehearsed": "true" if cell.cell.rehearsed else None,
        },
    }


def _counted(tasks: Sequence[TaskRecord]) -> list[AttemptRecord]:
    return [attempt for task in tasks for attempt in task.attempts if attempt.outcome.counts]


def _list(texts: Collection[str], clean: Clean) -> str | None:
    return json.dumps(plain(sorted(texts), clean)) if texts else None
