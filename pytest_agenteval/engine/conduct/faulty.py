"""Faults where the real ones would be: in the sandbox's `exec`, and around the tools of a scaffold."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import anyio
from inspect_ai.tool import Tool, ToolDef, ToolError, ToolSource
from inspect_ai.util import ExecResult, SandboxEnvironment

from pytest_agenteval.engine.conduct.injector import SLOW_SECONDS, Injector

__all__ = ["faulty_sandbox", "faulty_tools"]

_NO_FORK = "bash: fork: retry: Resource temporarily unavailable\n"
_UNAVAILABLE = "upstream service unavailable (503)"


def faulty_sandbox(environment: SandboxEnvironment, injector: Injector) -> None:
    """Let commands in this sandbox meet faults, while the agent is at work. It is a sandbox of one try."""
    inner: Any = getattr(environment, "_sandbox", environment)
    plain = inner.exec

    async def exec(cmd: list[str], *arguments: Any, **named: Any) -> Any:
        call, kind = injector.next("exec")
        target = " ".join(cmd)
        if kind is None:
            return await plain(cmd, *arguments, **named)
        if kind == "fork":
            injector.note("exec", kind, call, target, delivered=True)
            return ExecResult(False, 254, "", _NO_FORK)
        if kind == "slow":
            await anyio.sleep(SLOW_SECONDS)
        done = await plain(cmd, *arguments, **named)
        if kind == "timeout":  # the command has run: what it changed is changed
            injector.note("exec", kind, call, target, delivered=True)
            limit = named.get("timeout", arguments[4] if len(arguments) > 4 else None)
            raise TimeoutError("Command timed out" + (f" after {limit} seconds" if limit else ""))
        if kind == "truncated":
            stdout = done.stdout[: len(done.stdout) // 2]
            injector.note("exec", kind, call, target, delivered=stdout != done.stdout)
            return ExecResult(done.success, done.returncode, stdout, done.stderr)
        injector.note("exec", kind, call, target, delivered=True)
        return done

    inner.exec = exec


def faulty_tools(tools: Sequence[Tool | ToolDef | ToolSource], injector: Injector) -> list[Tool | ToolDef | ToolSource]:
    """The same tools, whose calls may meet faults. A source of tools stays as it is."""
    if not injector.reaches("tool"):
        return list(tools)
    return [
        tool if isinstance(tool, ToolSource) and not isinstance(tool, ToolDef) else _faulty(cast(Tool, tool), injector)
        for tool in tools
    ]


def _faulty(tool: Tool | ToolDef, injector: Injector) -> Tool:
    plain = tool if isinstance(tool, ToolDef) else ToolDef(tool)
    inner: Any = plain.tool

    @functools.wraps(inner)  # Inspect reads the parameters' types off it
    async def execute(*given: Any, **named: Any) -> Any:
        call, kind = injector.next("tool")
        if kind is None:
            return await inner(*given, **named)
        if kind == "error":
            injector.note("tool", kind, call, plain.name, delivered=True)
            raise ToolError(_UNAVAILABLE)
        if kind == "slow":
            await anyio.sleep(SLOW_SECONDS)
        result = await inner(*given, **named)
        changed = result
        if kind == "malformed" and isinstance(result, str | int | float | bool):
            changed = '{"result": "' + str(result)[: len(str(result)) // 2]
        elif kind == "empty":
            changed = ""
        delivered = kind in ("slow", "timeout") or changed != result
        injector.note("tool", kind, call, plain.name, delivered=delivered)
        if kind == "timeout":
            raise TimeoutError(f"{plain.name} timed out")
        return changed

    made = ToolDef(
        execute,
        name=plain.name,
        description=plain.description,
        parameters=plain.parameters,
        parallel=plain.parallel,
        viewer=plain.viewer,
        model_input=plain.model_input,
        max_output=plain.max_output,
        options=plain.options,
    )
    return made.as_tool()
