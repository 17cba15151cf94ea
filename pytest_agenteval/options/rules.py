"""Which options cannot be combined, with the reason in a sentence."""

from __future__ import annotations

from pytest_agenteval.options import values
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.options.values import EarlyStop

__all__ = ["why_not_early", "why_not_on_host", "why_not_taken_over"]


def why_not_early(asked: Settings, wanted: EarlyStop, *, distributed: bool) -> str | None:
    """Why `--agent-early-stop` cannot be combined with the other options, or None if it can.

    Args:
        asked: the settings.
        wanted: the kind of early stopping.
        distributed: whether xdist distributes the tests over processes.
    """
    early = f"--agent-early-stop={wanted}"
    for flag, value in (
        ("--min-consistency", asked.gates.min_consistency),
        ("--max-overconfidence", asked.gates.max_overconfidence),
        ("--min-safety", asked.gates.min_safety),
        ("--agent-max-cost-per-attempt", asked.gates.max_cost_per_attempt),
        ("--agent-max-tool-failure-rate", asked.gates.max_tool_failure_rate),
        ("--agent-perturb", asked.perturb.asked or None),
        ("--max-violations", asked.gates.max_violations or None),
        ("--agent-baseline", asked.gates.baseline),
    ):
        if value is not None:
            return f"{early} cannot go with {flag}, which needs every attempt: leave one of the two out"
    if asked.store.top_up:
        return f"{early} cannot go with --agent-top-up, whose grid of attempts is not k wide: leave one of the two out"
    if asked.gates.mode != "grid":
        return f"{early} keeps verdicts about the grid of attempts, not about the truth: use --agent-gate-mode=grid"
    if distributed:
        return f"{early} needs one process that sees every attempt: leave out xdist's -n (attempts run concurrently)"
    return None


def why_not_taken_over(asked: Settings) -> str | None:
    """Why stored attempts cannot be taken over with these options, or None if they can."""
    if asked.store.resume and asked.store.top_up:
        return (
            "--agent-resume goes on with one run, --agent-top-up takes attempts of all runs: leave one of the two out"
        )
    if asked.store.max_age is not None and not (asked.store.resume or asked.store.top_up):
        return "--agent-max-age is about stored attempts: add --agent-resume or --agent-top-up"
    if (asked.store.resume or asked.store.top_up) and not asked.active:
        flag = "--agent-resume" if asked.store.resume else "--agent-top-up"
        return f"{flag} runs what is missing: say of which model, with --agent-model=PROVIDER/MODEL or --agent-run"
    if (asked.store.resume or asked.store.top_up) and asked.plan:
        return "--agent-plan plans whole runs: leave out --agent-resume and --agent-top-up"
    return None


def why_not_on_host(asked: Settings, model: str) -> str | None:
    """Why a model may not run, in a sentence: a real one would run commands on this host, which needs permission."""
    if asked.sandboxes.kind != "local" or model in values.BUILT_IN_MODELS or asked.sandboxes.allow_local:
        return None
    return (
        f"--agent-sandbox=local would let {model} run commands on this host: "
        "use the docker sandbox, or add --agent-allow-local if you mean it"
    )
