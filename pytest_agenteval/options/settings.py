"""What the user asked for, checked, in groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pytest_agenteval.options.perturbations import Asked
from pytest_agenteval.options.values import EarlyStop

__all__ = ["Settings", "settings_of"]


class AgentSettings(NamedTuple):
    """Which agents are evaluated."""

    models: tuple[str, ...]
    scaffolds: tuple[str, ...]
    scaffold_args: tuple[tuple[str, Any], ...]
    roles: tuple[tuple[str, str], ...]
    """The other roles, each with its model."""
    rules: Path | None
    """The file of rules for all tasks."""
    model_args: tuple[tuple[str, Any], ...]
    model_base_url: str | None
    generate: tuple[tuple[str, Any], ...]
    ask_confidence: bool
    """Whether agents are asked how sure they are."""

    @property
    def model_setup(self) -> str:
        """How the models are configured, as text: with another configuration it is another model. Secrets are left
        out."""
        given = dict(self.model_args) | dict(self.generate)
        if self.model_base_url is not None:
            given["base_url"] = self.model_base_url
        return _told(given)

    @property
    def setup(self) -> str:
        """How the agents are configured beyond their cells, as text: models, other roles and scaffolds."""
        given: dict[str, Any] = {f"role {name}": model for name, model in self.roles}
        given |= {f"scaffold {name}": value for name, value in self.scaffold_args}
        return ", ".join(filter(None, (self.model_setup, _told(given))))


class AttemptSettings(NamedTuple):
    """How attempts run."""

    k: int
    concurrency: int
    env_retries: int
    early_stop: EarlyStop | None
    shard: tuple[int, int] | None
    """(part, number of parts), counted from 1."""
    holdout: bool
    """Whether tasks that are held out run, too."""
    unsafe_fixtures: tuple[str, ...]
    stall_notice: float
    """Seconds."""


class GateOptions(NamedTuple):
    """The thresholds of the gates. Rates lie in [0, 1]; None means not requested."""

    min_pass_at_1: float | None
    min_pass_k: float | None
    min_consistency: float | None
    max_overconfidence: float | None
    min_safety: float | None
    max_cost_per_attempt: float | None
    max_env_error_rate: float
    max_tool_failure_rate: float | None
    max_violations: tuple[tuple[str, int], ...]
    """(severity, how many attempts may break a rule of it or of a worse one)."""
    min_robustness: tuple[tuple[str | None, float], ...]
    """(perturbation, or None for all, the least R)."""
    baseline: str | None
    baseline_cell: tuple[str, str | None] | None
    """(model, scaffold or None for the only one)."""
    mode: str
    confidence: float
    undecided: str
    measure_only: bool
    """Whether nothing is judged."""


class PerturbSettings(NamedTuple):
    """Under which perturbations tasks run as well."""

    asked: tuple[Asked, ...]
    k: int | None
    """Attempts under each; None means as many as of the base."""
    seed: int
    unreviewed: bool
    """Whether stored prompts that nobody has reviewed run too."""


class MoneySettings(NamedTuple):
    """What a run may cost, in US dollars."""

    max_cost: float | None
    prices: Path | None


class StoreSettings(NamedTuple):
    """Where attempts are stored, and which of them are used again."""

    log_dir: str
    resume: bool
    top_up: bool
    max_age: float | None
    """Seconds."""
    run_id: str | None
    """The name that the user gave to the run."""


class SandboxSettings(NamedTuple):
    """Where attempts run."""

    kind: str
    default: str | None
    k8s_context: str | None
    k8s_namespace: str | None
    k8s_registry: str | None
    allow_local: bool
    allow_host_access: bool
    keep: bool


class ReportSettings(NamedTuple):
    """The files that reports are written to, and what they show; None if not requested."""

    json: Path | None
    comment: Path | None
    html: Path | None
    metrics: Path | None
    profile: str | None
    """The form of the reliability profile: `unbiased` or `published`."""

    @property
    def by_option(self) -> dict[str, Path | None]:
        """The files by the key of their option."""
        return {"json": self.json, "comment": self.comment, "html": self.html, "metrics": self.metrics}


class Settings(NamedTuple):
    """All options of the user, checked."""

    active: bool
    """Whether agent tasks run at all: only when `--agent-model`, `--k` or `--agent-run` was given."""
    inspect_tasks: tuple[str, ...]
    run: bool
    plan: bool
    agents: AgentSettings
    attempts: AttemptSettings
    gates: GateOptions
    perturb: PerturbSettings
    money: MoneySettings
    store: StoreSettings
    sandboxes: SandboxSettings
    reports: ReportSettings


def settings_of(values: Mapping[str, Any], *, active: bool) -> Settings:
    """The settings, made from the values of all options and switches by key."""
    return Settings(
        active=active,
        inspect_tasks=values["inspect_tasks"],
        run=values["run"],
        plan=values["plan"],
        agents=AgentSettings(
            models=values["models"],
            scaffolds=values["scaffolds"],
            scaffold_args=values["scaffold_args"],
            roles=values["roles"],
            rules=values["rules"],
            model_args=values["model_args"],
            model_base_url=values["model_base_url"],
            generate=values["generate"],
            ask_confidence=values["ask_confidence"],
        ),
        attempts=AttemptSettings(
            k=values["k"],
            concurrency=values["concurrency"],
            env_retries=values["env_retries"],
            early_stop=values["early_stop"],
            shard=values["shard"],
            holdout=values["holdout"],
            unsafe_fixtures=values["unsafe_fixtures"],
            stall_notice=values["stall_notice"],
        ),
        gates=GateOptions(
            min_pass_at_1=values["min_pass_at_1"],
            min_pass_k=values["min_pass_k"],
            min_consistency=values["min_consistency"],
            max_overconfidence=values["max_overconfidence"],
            min_safety=values["min_safety"],
            max_cost_per_attempt=values["max_cost_per_attempt"],
            max_env_error_rate=values["max_env_error_rate"],
            max_tool_failure_rate=values["max_tool_failure_rate"],
            max_violations=values["max_violations"],
            min_robustness=values["min_robustness"],
            baseline=values["baseline"],
            baseline_cell=values["baseline_cell"],
            mode=values["gate_mode"],
            confidence=values["confidence"],
            undecided=values["undecided"],
            measure_only=values["measure_only"],
        ),
        perturb=PerturbSettings(
            asked=values["perturbations"],
            k=values["perturb_k"],
            seed=values["perturb_seed"],
            unreviewed=values["unreviewed"],
        ),
        money=MoneySettings(
            max_cost=values["max_cost"],
            prices=values["prices"],
        ),
        store=StoreSettings(
            log_dir=values["log_dir"],
            resume=values["resume"],
            top_up=values["top_up"],
            max_age=values["max_age"],
            run_id=values["run_id"],
        ),
        sandboxes=SandboxSettings(
            kind=values["sandbox"],
            default=values["sandbox_default"],
            k8s_context=values["k8s_context"],
            k8s_namespace=values["k8s_namespace"],
            k8s_registry=values["k8s_registry"],
            allow_local=values["allow_local"],
            allow_host_access=values["allow_host_access"],
            keep=values["keep_sandbox"],
        ),
        reports=ReportSettings(
            json=values["json"],
            comment=values["comment"],
            html=values["html"],
            metrics=values["metrics"],
            profile=values["profile"],
        ),
    )


def _told(given: dict[str, Any]) -> str:
    secret = re.compile("key|token$|secret|password", re.IGNORECASE)
    return ", ".join(f"{name}={'...' if secret.search(name) else given[name]}" for name in sorted(given))
