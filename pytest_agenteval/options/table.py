"""The table of the command line and ini options, and their registration with pytest.

pytest loads this module at each start, so it loads no other: what turns texts into values, and what settings are made
of, load when somebody uses an option. Hence also the plain class, which is made ten times faster than a dataclass.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agenteval.options.settings import Settings

__all__ = ["OPTIONS", "SETTINGS", "SWITCHES", "Option", "add_options", "is_any_used"]

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
"""The settings of a run, once they are read."""


class Option:
    """An option with a value.

    Args:
        flags: of the command line, the short one first where there are two.
        key: of the settings, and with `agent_` before it the ini key.
        parser: the function of :mod:`pytest_agenteval.options.values` that turns the text into the value.
        default: the value where nobody gives one.
        metavar: stands for the value in the help; empty if the command line gives the option without one.
        help: what the option does.
        repeat: may be given several times; the value is a tuple.
        gate: judges the run; without a model it has nothing to judge.
        path: is a path; in an ini file it is relative to that file.
        idle: does nothing where no agent task runs; whoever types it expects some to.
        bare: the value if the command line gives the option without one; None if it needs one.
    """

    __slots__ = ("bare", "default", "flags", "gate", "help", "idle", "key", "metavar", "parser", "path", "repeat")

    def __init__(
        self,
        flags: tuple[str, ...],
        key: str,
        parser: str,
        default: Any,
        metavar: str,
        help: str,
        *,
        repeat: bool = False,
        gate: bool = False,
        path: bool = False,
        idle: bool = False,
        bare: str | None = None,
    ) -> None:
        self.flags, self.key, self.parser, self.default = flags, key, parser, default
        self.metavar, self.help, self.repeat = metavar, help, repeat
        self.gate, self.path, self.idle, self.bare = gate, path, idle, bare

    @property
    def reading(self) -> dict[str, Any]:
        """How argparse reads it: keywords of `add_argument`."""
        if self.repeat or self.bare is None:
            return {"action": "append" if self.repeat else "store", "metavar": self.metavar}
        if not self.metavar:
            return {"action": "store_const", "const": self.bare}
        return {"action": "store", "metavar": self.metavar, "nargs": "?", "const": self.bare}

    @property
    def dest(self) -> str:
        """The attribute of pytest's `config.option`."""
        return f"agenteval_{self.key}"

    @property
    def ini(self) -> str:
        """The key in an ini file."""
        return f"agent_{self.key}"

    @property
    def parse(self) -> Callable[[str], Any]:
        """What turns the text into the value; it raises `ValueError` with what the text must be."""
        from pytest_agenteval.options import values

        parse: Callable[[str], Any] = getattr(values, self.parser)
        return parse


# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option(("--agent-model",), "models", "model", (), "PROVIDER/MODEL",
            "evaluate this model, by Inspect's name (repeat: one cell each); "
            "agenteval/oracle, /null and /noisy cost nothing", repeat=True),
    Option(("--agent-scaffold",), "scaffolds", "text", (), "NAME",
            "the agent program around the model (repeat: one cell each, with every model): react (the default), "
            "another agent of Inspect's registry, or module:attribute", repeat=True, idle=True),
    Option(("--agent-scaffold-arg",), "scaffold_args", "pair", (), "NAME=VALUE",
            "argument for the scaffold, as JSON or text (repeat); SCAFFOLD:NAME=VALUE for one of several", repeat=True),
    Option(("--agent-inspect-task",), "inspect_tasks", "text", (), "TASK[,NAME=VALUE]...",
            "every sample of this Inspect task as an agent task (repeat): inspect_evals/xyz, MODULE@TASK or "
            "FILE.py@TASK; names: limit, scorer, key, passes, sandbox, args.NAME; collected alone where no path is "
            "given", repeat=True, idle=True),
    Option(("--k", "--agent-k"), "k", "attempts", 1, "N", "attempts at each task (default 1)"),
    Option(("--max-cost", "--agent-max-cost"), "max_cost", "amount", None, "USD",
            "what the whole run may cost, all roles and retries included; the run stops before it costs more",
            gate=True),
    Option(("--min-pass-at-1", "--agent-min-pass-at-1"), "min_pass_at_1", "rate", None, "RATE",
            "gate: pass@1, the share of attempts that pass, averaged over tasks", gate=True),
    Option(("--min-pass-k", "--agent-min-pass-k"), "min_pass_k", "rate", None, "RATE",
            "gate: pass^k: all k attempts pass, averaged over tasks", gate=True),
    Option(("--min-consistency", "--agent-min-consistency"), "min_consistency", "rate", None, "RATE",
            "gate: how much likelier two attempts at a task agree in passing than differ (1: they always agree, 0: as "
            "often as not), averaged over tasks; needs --k=2 or more", gate=True),
    Option(("--max-overconfidence", "--agent-max-overconfidence"), "max_overconfidence", "rate", None, "RATE",
            "gate: by how much the agent's mean confidence lies above its pass rate; see --agent-ask-confidence",
            gate=True),
    Option(("--min-safety", "--agent-min-safety"), "min_safety", "rate", None, "RATE",
            "gate: the share of attempts that break no rule, averaged over tasks with rules", gate=True),
    Option(("--agent-max-cost-per-attempt",), "max_cost_per_attempt", "amount", None, "USD",
            "gate: the mean cost of an attempt", gate=True),
    Option(("--agent-max-env-error-rate",), "max_env_error_rate", "rate", 0.05, "RATE",
            "above this share of environment errors nothing passes (default 0.05)", gate=True),
    Option(("--agent-max-tool-failure-rate",), "max_tool_failure_rate", "rate", None, "RATE",
            "gate: the share of tool calls that fail", gate=True),
    Option(("--max-violations", "--agent-max-violations"), "max_violations", "violations", (), "[SEVERITY:]N",
            "gate: at most N attempts of a cell break a rule of this severity or a worse one (repeat); "
            "low, medium, high or critical, low where it is left out", repeat=True, gate=True),
    Option(("--min-robustness", "--agent-min-robustness"), "min_robustness", "robustness", (), "[NAME:]RATE",
            "gate: R, the share of the pass rate that is left under each perturbation, or under this one (repeat)",
            repeat=True, gate=True),
    Option(("--agent-rules",), "rules", "file", None, "FILE",
            "TOML file of rules that every task's agent must keep beside solving it", path=True, idle=True),
    Option(("--agent-perturb",), "perturbations", "perturbation", (), "NAME[:KEY=VALUE,...]",
            "run every task under this perturbation too, apart from its base (repeat): faults, exec-faults, "
            "tool-faults, model-faults, prompts, typos, lowercase, whitespace, markdown, option-order, tool-order, "
            "tool-names, argument-names, result-keys, timezone, locale, author; A+B is both at once",
            repeat=True, idle=True),
    Option(("--agent-perturb-k",), "perturb_k", "attempts", None, "N",
            "attempts at each task under each perturbation (default k)", idle=True),
    Option(("--agent-perturb-seed",), "perturb_seed", "count", 0, "N",
            "the seed of perturbations (default 0): the same seed gives the same faults", idle=True),
    Option(("--agent-baseline",), "baseline", "place", None, "PATH",
            "gate: compare with an earlier run, its .eval logs or a directory of them; a regression fails the run",
            gate=True, path=True),
    Option(("--agent-baseline-cell",), "baseline_cell", "cell", None, "MODEL[,SCAFFOLD]",
            "the baseline's cell to compare a cell with that the baseline lacks; without it such a cell is new, and "
            "measured only", gate=True),
    Option(("--agent-gate-mode",), "gate_mode", "gate_mode", "grid", "grid|confidence",
            "what gates on pass rates are about: these very attempts (grid, the default), or the truth behind them",
            idle=True),
    Option(("--agent-confidence",), "confidence", "confidence", 0.95, "LEVEL",
            "how sure a gate in confidence mode must be (default 0.95)", idle=True),
    Option(("--agent-undecided",), "undecided", "undecided", "incomplete",
            "incomplete|fail|pass",
            "what a gate in confidence mode says when the attempts settle it neither way (default incomplete)",
            idle=True),
    Option(("--agent-ask-confidence",), "ask_confidence", "yes_or_no", False, "",
            "ask the agent, when it has ended and before it is graded, how likely its solution is right: one more "
            "model call an attempt, in the budget and not in the agent's cost", idle=True, bare="yes"),
    Option(("--agent-early-stop",), "early_stop", "early_stop", None,
            "exact|exact+first",
            "run only what can still change a verdict; exact+first runs every task's first attempt, for pass@1",
            idle=True),
    Option(("--agent-max-age",), "max_age", "duration", None, "TIME",
            "with --agent-resume and --agent-top-up: take no attempt that is older than this, for example 7d or 12h"),
    Option(("--agent-run-id",), "run_id", "text", None, "NAME",
            "the run's name, the same for all its shards (default: the CI run in GitHub, GitLab and Jenkins, else a "
            "name of its own)"),
    Option(("--agent-shard",), "shard", "shard", None, "I/N",
            "run the I-th of N parts of the tests, ordinary ones too: each runs in one part, with all its models; "
            "`pytest-agenteval report` merges the parts into one verdict"),
    Option(("--agent-profile",), "profile", "profile", None, "unbiased|published",
            "show the reliability profile: consistency, predictability, safety; `published` adds the published forms, "
            "for comparison with the tables of others", idle=True, bare="unbiased"),
    Option(("--agent-json",), "json", "path", None, "FILE",
            "write the report as JSON", path=True, idle=True),
    Option(("--agent-comment",), "comment", "path", None, "FILE",
            "write the report as Markdown, for a comment on a pull request", path=True, idle=True),
    Option(("--agent-html",), "html", "path", None, "FILE",
            "write the report as one self-contained HTML page (needs pytest-agenteval[html])", path=True,
            idle=True),
    Option(("--agent-metrics",), "metrics", "path", None, "FILE",
            "write the figures as OpenMetrics text, for GitLab's reports of metrics", path=True, idle=True),
    Option(("--agent-stall-notice",), "stall_notice", "duration", 300.0, "TIME",
            "say what is waited for when nothing has moved for so long (default 5m); nothing is ended by it"),
    Option(("--agent-concurrency",), "concurrency", "number_from_1", 16, "N",
            "attempts in flight at once (default 16)"),
    Option(("--agent-env-retries",), "env_retries", "count", 2, "N",
            "how often an attempt that met an environment error is tried again (default 2)"),
    Option(("--agent-model-arg",), "model_args", "pair", (), "NAME=VALUE",
            "argument for the model's provider, as JSON or text (repeat)", repeat=True),
    Option(("--agent-role",), "roles", "role", (), "NAME=MODEL",
            "the model of a role beside the agent's, for example user=openai/gpt-5-mini for the simulated user "
            "(repeat); get_model(role=NAME) gives it, and it is paid from the same budget", repeat=True, idle=True),
    Option(("--agent-model-base-url",), "model_base_url", "url", None, "URL", "address of the model's API"),
    Option(("--agent-generate",), "generate", "pair", (), "NAME=VALUE",
            "how the model generates, by Inspect's names: temperature=0, max_tokens=4096, "
            "reasoning_effort=low (repeat)", repeat=True),
    Option(("--agent-prices",), "prices", "file", None, "FILE",
            "TOML file of prices in USD per million tokens", path=True),
    Option(("--agent-sandbox",), "sandbox", "sandbox", "docker", "docker|k8s|local|NAME",
            "where attempts run (default docker); k8s is a Kubernetes cluster; local is a directory on this host, not "
            "isolated; NAME is any sandbox "
            "provider that Inspect has registered, or a plugin's"),
    Option(("--agent-sandbox-default",), "sandbox_default", "text", None, "SANDBOX",
            "the sandbox of tasks that name none and have no compose file or Dockerfile beside them: a name, "
            "a path from the rootdir, or image:NAME:TAG"),
    Option(("--agent-k8s-context",), "k8s_context", "text", None, "NAME",
            "with --agent-sandbox=k8s: the context of the kubeconfig (default: its current one, or the pod around us)"),
    Option(("--agent-k8s-namespace",), "k8s_namespace", "text", None, "NAME",
            "with --agent-sandbox=k8s: the namespace of the pods (default: that of the context)"),
    Option(("--agent-k8s-registry",), "k8s_registry", "text", None, "HOST/PATH",
            "with --agent-sandbox=k8s: where images that are built here are pushed, so that the cluster can pull them"),
    Option(("--agent-log-dir",), "log_dir", "text", "logs/agenteval", "DIR",
            "where Inspect's .eval logs go (default logs/agenteval)", path=True),
    Option(("--agent-unsafe-fixture",), "unsafe_fixtures", "text", (), "NAME",
            "refuse this fixture in agent tasks because it changes process-wide state (repeat)", repeat=True),
)
SWITCHES: tuple[tuple[str, str, str], ...] = (
    ("--agent-run", "run", "evaluate with the model that the ini file names"),
    ("--agent-allow-local", "allow_local",
     "let a real model run commands on this host with --agent-sandbox=local"),
    ("--agent-allow-host-access", "allow_host_access",
     "let compose files mount host paths, share host namespaces or run privileged, and pods run where the cluster does "
     "not keep the network from them"),
    ("--agent-resume", "resume",
     "go on with the newest run in --agent-log-dir: attempts that it finished are neither repeated nor paid again"),
    ("--agent-top-up", "top_up",
     "use all attempts in --agent-log-dir at the same tasks, unchanged, and run only the difference to k"),
    ("--agent-measure-only", "measure_only",
     "measure and judge nothing, as a shard does whose run is judged by `pytest-agenteval report`: exit 0 when every "
     "attempt was measured, 10 when some are missing"),
    ("--agent-plan", "plan", "say what the run would cost and could show, and run nothing"),
    ("--agent-unreviewed", "unreviewed", "with --agent-perturb=prompts: also stored prompts that nobody has reviewed"),
    ("--agent-holdout", "holdout", "also run the tasks that are held out; every such run is a look at them"),
    ("--agent-keep-sandbox", "keep_sandbox",
     "leave the sandbox of an attempt that failed, and say how to enter it"),
)
"""Options without a value: flag, key, help. They have no ini key: a file in a checkout must not be able to set them."""
# fmt: on


def add_options(parser: pytest.Parser) -> None:
    """Register every option and its ini key."""
    group = parser.getgroup("agenteval", "agent evaluation (pytest-agenteval)")
    for option in OPTIONS:
        keywords = {"dest": option.dest, "help": option.help, **option.reading}
        short, *long = option.flags
        try:
            group.addoption(*option.flags, **keywords)
        except (ValueError, argparse.ArgumentError):
            if not long:
                raise
            group.addoption(*long, **keywords)  # a neighbour owns the short name: the long one still works
        if option.repeat:
            parser.addini(option.ini, f"as {short}", type="linelist", default=[])
        else:
            parser.addini(option.ini, f"as {short}", type="string", default="")
    for flag, key, meaning in SWITCHES:
        group.addoption(flag, dest=f"agenteval_{key}", help=meaning, action="store_true", default=False)


def is_any_used(config: pytest.Config) -> bool:
    """Whether any option is used, on the command line or in the ini file; else all settings are the defaults."""
    given = vars(config.option)
    return any(given.get(f"agenteval_{key}") for _, key, _ in SWITCHES) or any(
        given.get(option.dest) not in (None, []) or config.getini(option.ini) not in ("", []) for option in OPTIONS
    )
