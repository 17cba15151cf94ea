"""Type-checked, never run: what authors of plugins write, with the types that each hook names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

from pytest_agenteval import (
    AgentContext,
    AttemptRecord,
    Cell,
    Judgement,
    OfferedSandbox,
    PriceBook,
    Rates,
    ReportRequest,
    ReportSection,
    Sandbox,
    SandboxAgent,
    TokenUsage,
    Writer,
    inspect_task,
    record_tool,
    recorded_tool,
)


class OneDollar:
    """A price book is whatever has its three methods."""

    def price(self, model: str, usage: TokenUsage) -> float | None:
        assert_type((usage.input, usage.output, usage.cache_read, usage.cache_write), tuple[int, int, int, int])
        return Rates(1.0, 2.0, per_call=1.0).cost(usage)

    def rates(self, model: str, input_tokens: int = 0) -> Rates | None:
        return Rates(input=0.0, output=0.0, cache_read=None, per_call=1.0)

    def source(self, model: str) -> str | None:
        return "a dollar each"


def pytest_agenteval_prices() -> PriceBook | None:
    return OneDollar()


@recorded_tool
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


async def plain(task: str, context: AgentContext) -> str:
    assert_type(context.model, str)
    assert_type(context.instructions, str | None)
    assert_type(context.sandbox, Sandbox)
    assert_type(search("docs", limit=1), list[str])
    done = await context.sandbox.exec(["ls"])
    record_tool(
        "ls", {"path": "."}, error=None if done.success else done.stderr, seconds=0.1, exit_code=done.returncode
    )
    return done.stdout


def pytest_agenteval_scaffolds() -> Mapping[str, Any] | None:
    program = SandboxAgent(command=["my-agent", "{task}"], env={"QUIET": "1"}, user="agent")
    assert_type(program.stdin, str | None)
    return {"plain": plain, "program": program}


def pytest_agenteval_sandbox_providers() -> Mapping[str, OfferedSandbox] | None:
    return {"k8s": OfferedSandbox("k8s", configure=lambda task, options: {"memory": options.memory}, note="far away")}


def pytest_agenteval_attempt_finished(task: str, cell: Cell, attempt: AttemptRecord) -> None:
    print(task, cell, attempt.outcome)


def pytest_agenteval_report_sections(judgement: Judgement) -> Sequence[ReportSection] | None:
    return [ReportSection("Slowest", tuple(record.task for record in judgement.records))]


def pytest_agenteval_report_writers(request: ReportRequest) -> Sequence[Writer] | None:
    assert_type(request.judgement, Judgement)
    assert_type(request.sections, tuple[ReportSection, ...])
    assert_type(request.destinations, Mapping[str, Path])

    def write(path: Path) -> None:
        path.write_text(request.judgement.status.reason, "utf-8")

    return [Writer("reason", Path("reason.txt"), write, announced=False)]


def haiku(asked: argparse.Namespace) -> int:
    return 7


def pytest_agenteval_exports(formats: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    formats.add_parser("haiku").set_defaults(run=haiku)


test_samples = inspect_task("inspect_evals/gsm8k", limit=10, samples=["1", 2], passes=0.5, time_limit=60)


def refused(request: ReportRequest) -> None:
    book: PriceBook = Rates(1.0, 2.0)  # type: ignore[assignment]
    Rates("cheap", 2.0)  # type: ignore[arg-type]
    TokenUsage(inputs=3)  # type: ignore[call-arg]
    SandboxAgent(["my-agent"])  # type: ignore[call-arg]
    SandboxAgent(command=[1])  # type: ignore[list-item]
    Writer("reason", "reason.txt", print)  # type: ignore[arg-type]
    ReportSection("Slowest")  # type: ignore[call-arg]
    record_tool("ls", seconds="1")  # type: ignore[arg-type]
    inspect_task("inspect_evals/gsm8k", passes=[1])  # type: ignore[arg-type]
    inspect_task("inspect_evals/gsm8k", timelimit=60)  # type: ignore[call-arg]
    search(limit=1)  # type: ignore[call-arg]
    request.notes = ()  # type: ignore[misc]
    print(book)
