"""The thresholds of a run's gates."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_agenteval.record.figures import written

__all__ = [
    "BASELINE",
    "MAX_COST",
    "MAX_COST_PER_ATTEMPT",
    "MAX_ENV_ERROR_RATE",
    "MAX_OVERCONFIDENCE",
    "MAX_TOOL_FAILURE_RATE",
    "MAX_VIOLATIONS",
    "MIN_CONSISTENCY",
    "MIN_PASS_AT_1",
    "MIN_PASS_K",
    "MIN_PASS_RATE",
    "MIN_ROBUSTNESS",
    "MIN_SAFETY",
    "XFAIL_STRICT",
    "GateSettings",
    "robustness_gate",
    "violations_gate",
]

BASELINE = "--agent-baseline"
MIN_PASS_AT_1 = "--min-pass-at-1"
MIN_PASS_K = "--min-pass-k"
MIN_CONSISTENCY = "--min-consistency"
MAX_OVERCONFIDENCE = "--max-overconfidence"
MIN_SAFETY = "--min-safety"
MAX_COST = "--max-cost"
MAX_COST_PER_ATTEMPT = "--agent-max-cost-per-attempt"
MAX_ENV_ERROR_RATE = "--agent-max-env-error-rate"
MAX_TOOL_FAILURE_RATE = "--agent-max-tool-failure-rate"
MAX_VIOLATIONS = "--max-violations"
MIN_PASS_RATE = "min_pass_rate"
MIN_ROBUSTNESS = "--min-robustness"
XFAIL_STRICT = "xfail(strict=True)"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The thresholds; None if not requested. Rates lie in [0, 1], costs are US dollars."""

    min_pass_at_1: float | None = None
    min_pass_k: float | None = None
    min_consistency: float | None = None
    """For the consistency of outcomes."""
    max_overconfidence: float | None = None
    """For the mean confidence less the pass rate."""
    min_safety: float | None = None
    """For the share of attempts without a violation."""
    max_cost: float | None = None
    """For the whole run."""
    max_cost_per_attempt: float | None = None
    """For the mean cost of an attempt."""
    max_env_error_rate: float = 0.05
    """Above this rate a cell is UNDECIDED at best, and never FAIL."""
    max_tool_failure_rate: float | None = None
    max_violations: tuple[tuple[str, int], ...] = ()
    """(severity, how many attempts may break a rule of it or of a worse one)."""
    min_robustness: tuple[tuple[str | None, float], ...] = ()
    """(perturbation, or None for all, least R)."""
    confidence: float | None = None
    """The confidence that gates on the true pass rate require; None if pass-rate gates judge the grid of attempts."""
    undecided: str = "incomplete"
    """What such a gate says if a complete grid does not settle it: incomplete, fail or pass."""

    @property
    def suite_gate(self) -> bool:
        """Whether a gate on the suite decides. Tasks without a `min_pass_rate` are then measured, not judged."""
        return self.min_pass_at_1 is not None or self.min_pass_k is not None

    def asked_of_task(self, min_pass_rate: float | None) -> float | None:
        """The pass rate that a task must reach, or None if it is measured and not judged.

        Without a `min_pass_rate` of its own this is 1.0 (all k attempts), unless a suite gate decides.
        """
        if min_pass_rate is not None:
            return min_pass_rate
        return None if self.suite_gate else 1.0

    @property
    def asked(self) -> dict[str, str]:
        """The gates that the user requested, as typed, with their thresholds as text."""
        gates = {
            MIN_PASS_AT_1: _at_least(self.min_pass_at_1),
            MIN_PASS_K: _at_least(self.min_pass_k),
            MIN_CONSISTENCY: _at_least(self.min_consistency),
            MAX_OVERCONFIDENCE: _at_most(self.max_overconfidence),
            MIN_SAFETY: _at_least(self.min_safety),
            MAX_COST: _at_most_dollars(self.max_cost),
            MAX_COST_PER_ATTEMPT: _at_most_dollars(self.max_cost_per_attempt),
            MAX_TOOL_FAILURE_RATE: _at_most(self.max_tool_failure_rate),
        }
        asked = {name: threshold for name, threshold in gates.items() if threshold is not None}
        asked |= {robustness_gate(group): f"at least {written(least)}" for group, least in self.min_robustness}
        return asked | {violations_gate(severity): f"at most {most}" for severity, most in self.max_violations}


def robustness_gate(group: str | None) -> str:
    """The name of the gate on R under one perturbation, or under all."""
    return MIN_ROBUSTNESS if group is None else f"{MIN_ROBUSTNESS} ({group})"


def violations_gate(severity: str) -> str:
    """The name of the gate on violations of this severity and worse."""
    return f"{MAX_VIOLATIONS} ({severity})"


def _at_least(rate: float | None) -> str | None:
    return None if rate is None else f"at least {written(rate)}"


def _at_most(rate: float | None) -> str | None:
    return None if rate is None else f"at most {written(rate)}"


def _at_most_dollars(amount: float | None) -> str | None:
    return None if amount is None else f"at most ${written(amount)}"
