"""Which options cannot go together, each reason in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agenteval.options import Settings

__all__ = ["why_not_early"]


def why_not_early(asked: Settings, *, distributed: bool) -> str | None:
    """Why `--agent-early-stop` cannot go with the other options, or None where it can.

    Args:
        asked: the options.
        distributed: whether xdist spreads the tests over processes.
    """
    if asked.early_stop is None:
        return None
    early = f"--agent-early-stop={asked.early_stop}"
    for flag, value in (
        ("--agent-max-cost-per-attempt", asked.max_cost_per_attempt),
        ("--agent-max-tool-failure-rate", asked.max_tool_failure_rate),
        ("--agent-baseline", asked.baseline),
    ):
        if value is not None:
            return f"{early} cannot go with {flag}, which needs every attempt: leave one of the two out"
    if asked.gate_mode != "grid":
        return f"{early} keeps verdicts about the grid of attempts, not about the truth: use --agent-gate-mode=grid"
    if distributed:
        return f"{early} needs one process that sees every attempt: leave out xdist's -n (attempts run concurrently)"
    return None
