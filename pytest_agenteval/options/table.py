"""The table of the command line and ini options.

pytest loads this module at each start. A named tuple is created several times faster than a dataclass, so its class is
a named tuple. Annotations are not postponed, because `NamedTuple` would compile each of them from its text.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from pytest_agenteval.options import values

__all__ = ["OPTIONS", "SWITCHES", "Option"]


class Option(NamedTuple):
    """An option with a value."""

    flags: tuple[str, ...]
    key: str
    """The setting's key. The ini key is the same with `agent_` in front."""
    parse: Callable[[str], Any]
    default: Any
    metavar: str
    help: str
    repeat: bool = False
    gate: bool = False
    """Whether it judges the run: without a model there is nothing to judge."""
    path: bool = False
    """Whether it is a path. In an ini file a path is relative to that file."""
    idle: bool = False
    """Whether it does nothing if no agent task runs, so that typing it means agent tasks were expected."""


# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option(("--agent-model",), "models", values.model, (), "PROVIDER/MODEL",
            "evaluate this model, by Inspect's name (repeat: one cell each); "
            "agenteval/oracle, /null and /noisy cost nothing", repeat=True),
    Option(("--agent-scaffold",), "scaffolds", values.text, (), "NAME",
            "the agent program around the model (repeat: one cell each, with every model): react (the default), "
            "another agent of Inspect's registry, or module:attribute", repeat=True, idle=True),
    Option(("--agent-scaffold-arg",), "scaffold_args", values.pair, (), "NAME=VALUE",
            "argument for the scaffold, as JSON or text (repeat); SCAFFOLD:NAME=VALUE for one of several", repeat=True),
    Option(("--agent-inspect-task",), "inspect_tasks", values.text, (), "TASK[,NAME=VALUE]...",
            "every sample of this Inspect task as an agent task (repeat): inspect_evals/xyz, MODULE@TASK or "
            "FILE.py@TASK; names: limit, scorer, key, passes, sandbox, args.NAME; collected alone where no path is "
            "given", repeat=True, idle=True),
    Option(("--k", "--agent-k"), "k", values.attempts, 1, "N", "attempts at each task (default 1)"),
    Option(("--max-cost", "--agent-max-cost"), "max_cost", values.amount, None, "USD",
            "what the whole run may cost, all roles and retries included; the run stops before it costs more",
            gate=True),
    Option(("--min-pass-at-1", "--agent-min-pass-at-1"), "min_pass_at_1", values.rate, None, "RATE",
            "gate: pass@1, the share of attempts that pass, averaged over tasks", gate=True),
    Option(("--min-pass-k", "--agent-min-pass-k"), "min_pass_k", values.rate, None, "RATE",
            "gate: pass^k: all k attempts pass, averaged over tasks", gate=True),
    Option(("--agent-max-cost-per-attempt",), "max_cost_per_attempt", values.amount, None, "USD",
            "gate: the mean cost of an attempt", gate=True),
    Option(("--agent-max-env-error-rate",), "max_env_error_rate", values.rate, 0.05, "RATE",
            "above this share of environment errors nothing passes (default 0.05)", gate=True),
    Option(("--agent-max-tool-failure-rate",), "max_tool_failure_rate", values.rate, None, "RATE",
            "gate: the share of tool calls that fail", gate=True),
    Option(("--agent-baseline",), "baseline", values.place, None, "PATH",
            "gate: compare with an earlier run, its .eval logs or a directory of them; a regression fails the run",
            gate=True, path=True),
    Option(("--agent-gate-mode",), "gate_mode", values.one_of(values.GATE_MODES), "grid", "|".join(values.GATE_MODES),
            "what gates on pass rates judge: these very attempts (grid, the default), or the true rate behind them",
            idle=True),
    Option(("--agent-confidence",), "confidence", values.confidence, 0.95, "LEVEL",
            "how sure a gate in confidence mode must be (default 0.95)", idle=True),
    Option(("--agent-undecided",), "undecided", values.one_of(values.UNDECIDED), "incomplete",
            "|".join(values.UNDECIDED),
            "what a gate in confidence mode says when the attempts do not settle it (default incomplete)",
            idle=True),
    Option(("--agent-early-stop",), "early_stop", values.early_stop, None,
            "|".join(values.EarlyStop),
            "run only what can still change a verdict; exact+first runs every task's first attempt, for pass@1",
            idle=True),
    Option(("--agent-max-age",), "max_age", values.duration, None, "TIME",
            "with --agent-resume and --agent-top-up: take no attempt that is older than this, for example 7d or 12h"),
    Option(("--agent-shard",), "shard", values.shard, None, "I/N",
            "run the I-th of N parts of the tests, ordinary ones too: each runs in one part, with all its models; "
            "`pytest-agenteval report` merges the parts into one verdict"),
    Option(("--agent-json",), "json", values.path, None, "FILE",
            "write the report as JSON", path=True, idle=True),
    Option(("--agent-comment",), "comment", values.path, None, "FILE",
            "write the report as Markdown, for a comment on a pull request", path=True, idle=True),
    Option(("--agent-html",), "html", values.path, None, "FILE",
            "write the report as one self-contained HTML page (needs pytest-agenteval[html])", path=True,
            idle=True),
    Option(("--agent-stall-notice",), "stall_notice", values.duration, 300.0, "TIME",
            "when nothing has moved for this long (default 5m), say what the run is waiting for; nothing is stopped"),
    Option(("--agent-concurrency",), "concurrency", values.number_from_1, 16, "N",
            "attempts in flight at once (default 16)"),
    Option(("--agent-env-retries",), "env_retries", values.count, 2, "N",
            "how often an attempt that met an environment error is tried again (default 2)"),
    Option(("--agent-model-arg",), "model_args", values.pair, (), "NAME=VALUE",
            "argument for the model's provider, as JSON or text (repeat)", repeat=True),
    Option(("--agent-role",), "roles", values.role, (), "NAME=MODEL",
            "the model of a role beside the agent's, for example user=openai/gpt-5-mini for the simulated user "
            "(repeat); get_model(role=NAME) gives it, and it is paid from the same budget", repeat=True, idle=True),
    Option(("--agent-model-base-url",), "model_base_url", values.url, None, "URL", "address of the model's API"),
    Option(("--agent-generate",), "generate", values.pair, (), "NAME=VALUE",
            "how the model generates, by Inspect's names: temperature=0, max_tokens=4096, "
            "reasoning_effort=low (repeat)", repeat=True),
    Option(("--agent-prices",), "prices", values.file, None, "FILE",
            "TOML file of prices in USD per million tokens", path=True),
    Option(("--agent-sandbox",), "sandbox", values.sandbox, "docker", "|".join(values.SANDBOXES),
            "where attempts run (default docker); local is a directory on this host, not isolated"),
    Option(("--agent-sandbox-default",), "sandbox_default", values.text, None, "SANDBOX",
            "the sandbox of tasks that name none and have no compose file or Dockerfile beside them: a name, "
            "a path from the rootdir, or image:NAME:TAG"),
    Option(("--agent-log-dir",), "log_dir", values.text, "logs/agenteval", "DIR",
            "where Inspect's .eval logs go (default logs/agenteval)", path=True),
    Option(("--agent-unsafe-fixture",), "unsafe_fixtures", values.text, (), "NAME",
            "refuse this fixture in agent tasks because it changes process-wide state (repeat)", repeat=True),
)
SWITCHES: tuple[tuple[str, str, str], ...] = (
    ("--agent-run", "run", "evaluate with the model that the ini file names"),
    ("--agent-allow-local", "allow_local",
     "let a real model run commands on this host with --agent-sandbox=local"),
    ("--agent-allow-host-access", "allow_host_access",
     "let compose files mount host paths, share host namespaces or run privileged"),
    ("--agent-resume", "resume",
     "go on with the newest run in --agent-log-dir: attempts that it finished are neither repeated nor paid again"),
    ("--agent-top-up", "top_up",
     "use all attempts in --agent-log-dir at the same tasks, unchanged, and run only the difference to k"),
    ("--agent-plan", "plan", "say what the run would cost and could show, and run nothing"),
    ("--agent-keep-sandbox", "keep_sandbox",
     "leave the sandbox of an attempt that failed, and say how to enter it"),
)
"""Options without a value: flag, key, help. They have no ini key: a file in a checkout must not be able to set them."""
# fmt: on
