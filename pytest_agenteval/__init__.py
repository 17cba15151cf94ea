"""Benchmark tasks for AI agents as pytest tests: k attempts each, in sandboxes, judged on reliability and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_agenteval.collect.agent_task import agent_task
    from pytest_agenteval.collect.inspect_task import inspect_task
    from pytest_agenteval.collect.rules import rule
    from pytest_agenteval.engine.agents.dialogue import Dialogue, SimulatedUser, dialogue
    from pytest_agenteval.engine.agents.public import (
        Agent,
        AgentContext,
        AgentResult,
        Sandbox,
        SandboxAgent,
        record_tool,
        recorded_tool,
    )
    from pytest_agenteval.engine.sandboxes.offered import OfferedSandbox
    from pytest_agenteval.estimate.run import CellSummary, RunSummary
    from pytest_agenteval.estimate.task import TaskSummary
    from pytest_agenteval.judge.baseline import Comparison
    from pytest_agenteval.judge.exit_status import ExitStatus, RunVerdict
    from pytest_agenteval.judge.judgement import Judgement
    from pytest_agenteval.judge.result import GateResult
    from pytest_agenteval.money.rates import PriceBook, Rates, TokenUsage
    from pytest_agenteval.record.outcomes import Cause, Outcome
    from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, Retry, TaskRecord, ToolCall
    from pytest_agenteval.record.tool_calls import ToolCalls
    from pytest_agenteval.record.verdict import Verdict
    from pytest_agenteval.report.writer import ReportRequest, ReportSection, Writer
    from pytest_agenteval.run.attempt import Attempt
    from pytest_agenteval.run.perturbed import OwnPerturbation
    from pytest_agenteval.run.rules import Rules

    __version__: str

__all__ = [
    "Agent",
    "AgentContext",
    "AgentResult",
    "Attempt",
    "AttemptRecord",
    "Cause",
    "Cell",
    "CellSummary",
    "Comparison",
    "Dialogue",
    "ExitStatus",
    "GateResult",
    "Judgement",
    "ModelCall",
    "OfferedSandbox",
    "Outcome",
    "OwnPerturbation",
    "PriceBook",
    "Rates",
    "ReportRequest",
    "ReportSection",
    "Retry",
    "Rules",
    "RunSummary",
    "RunVerdict",
    "Sandbox",
    "SandboxAgent",
    "SimulatedUser",
    "TaskRecord",
    "TaskSummary",
    "TokenUsage",
    "ToolCall",
    "ToolCalls",
    "Verdict",
    "Writer",
    "__version__",
    "agent_task",
    "dialogue",
    "inspect_task",
    "record_tool",
    "recorded_tool",
    "rule",
]

_HOMES = {
    "Agent": "pytest_agenteval.engine.agents.public",
    "AgentContext": "pytest_agenteval.engine.agents.public",
    "AgentResult": "pytest_agenteval.engine.agents.public",
    "Attempt": "pytest_agenteval.run.attempt",
    "AttemptRecord": "pytest_agenteval.record.records",
    "Cause": "pytest_agenteval.record.outcomes",
    "Cell": "pytest_agenteval.record.records",
    "CellSummary": "pytest_agenteval.estimate.run",
    "Comparison": "pytest_agenteval.judge.baseline",
    "Dialogue": "pytest_agenteval.engine.agents.dialogue",
    "ExitStatus": "pytest_agenteval.judge.exit_status",
    "GateResult": "pytest_agenteval.judge.result",
    "Judgement": "pytest_agenteval.judge.judgement",
    "ModelCall": "pytest_agenteval.record.records",
    "OfferedSandbox": "pytest_agenteval.engine.sandboxes.offered",
    "Outcome": "pytest_agenteval.record.outcomes",
    "OwnPerturbation": "pytest_agenteval.run.perturbed",
    "PriceBook": "pytest_agenteval.money.rates",
    "Rates": "pytest_agenteval.money.rates",
    "ReportRequest": "pytest_agenteval.report.writer",
    "ReportSection": "pytest_agenteval.report.writer",
    "Retry": "pytest_agenteval.record.records",
    "Rules": "pytest_agenteval.run.rules",
    "RunSummary": "pytest_agenteval.estimate.run",
    "RunVerdict": "pytest_agenteval.judge.exit_status",
    "Sandbox": "pytest_agenteval.engine.agents.public",
    "SandboxAgent": "pytest_agenteval.engine.agents.public",
    "SimulatedUser": "pytest_agenteval.engine.agents.dialogue",
    "TaskRecord": "pytest_agenteval.record.records",
    "TaskSummary": "pytest_agenteval.estimate.task",
    "TokenUsage": "pytest_agenteval.money.rates",
    "ToolCall": "pytest_agenteval.record.records",
    "ToolCalls": "pytest_agenteval.record.tool_calls",
    "Verdict": "pytest_agenteval.record.verdict",
    "Writer": "pytest_agenteval.report.writer",
    "agent_task": "pytest_agenteval.collect.agent_task",
    "dialogue": "pytest_agenteval.engine.agents.dialogue",
    "inspect_task": "pytest_agenteval.collect.inspect_task",
    "record_tool": "pytest_agenteval.engine.agents.public",
    "recorded_tool": "pytest_agenteval.engine.agents.public",
    "rule": "pytest_agenteval.collect.rules",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use, because pytest imports this package at every start."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-agenteval")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
