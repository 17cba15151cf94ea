"""Turns the texts of options into values. Each function raises `ValueError` with what the text must be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_agenteval.options.perturbations import perturbation

__all__ = [
    "BUILT_IN_MODELS",
    "GATE_MODES",
    "PROFILES",
    "SANDBOXES",
    "SECONDS",
    "UNDECIDED",
    "EarlyStop",
    "amount",
    "attempts",
    "cell",
    "confidence",
    "count",
    "duration",
    "early_stop",
    "file",
    "gate_mode",
    "model",
    "number_from_1",
    "one_of",
    "pair",
    "path",
    "perturbation",
    "place",
    "profile",
    "rate",
    "robustness",
    "role",
    "sandbox",
    "shard",
    "text",
    "undecided",
    "url",
    "violations",
    "yes_or_no",
]

SANDBOXES = ("docker", "k8s", "local")
GATE_MODES = ("grid", "confidence")
PROFILES = ("unbiased", "published")
SEVERITIES = ("low", "medium", "high", "critical")
UNDECIDED = ("incomplete", "fail", "pass")


class EarlyStop(StrEnum):
    """How attempts that can no longer change a verdict are left out."""

    EXACT = "exact"
    EXACT_FIRST = "exact+first"
    """Like EXACT, but every task still gets its first attempt, for pass@1."""


BUILT_IN_MODELS = ("agenteval/oracle", "agenteval/null", "agenteval/noisy")


def number_from_1(raw: str) -> int:
    """A whole number, 1 or more."""
    if not re.fullmatch(r"\d{1,9}", raw.strip()) or int(raw) < 1:
        raise ValueError("must be a whole number, 1 or more")
    return int(raw)


def attempts(raw: str) -> int:
    """The number of attempts at each task: 1 to 10,000, the most that pytest and the reports keep track of."""
    k = number_from_1(raw)
    if k > 10_000:
        raise ValueError("is more than the 10000 attempts at each task that a run can keep count of: give less")
    return k


def count(raw: str) -> int:
    """A whole number, 0 or more."""
    if not re.fullmatch(r"\d{1,9}", raw.strip()):
        raise ValueError("must be a whole number, 0 or more")
    return int(raw)


def rate(raw: str) -> float:
    """A share between 0 and 1."""
    value = _number(raw)
    if not 0 <= value <= 1:  # also refuses nan
        raise ValueError("must be a number between 0 and 1, for example 0.5")
    return value


def amount(raw: str) -> float:
    """US dollars above 0; a leading `$` is allowed."""
    value = _number(raw.strip().removeprefix("$"))
    if not 0 < value < math.inf:
        raise ValueError("must be an amount of US dollars above 0, for example 2.50")
    return value


def confidence(raw: str) -> float:
    """A confidence: above 0.5, below 1."""
    value = _number(raw)
    if not 0.5 < value < 1:
        raise ValueError("must be a number above 0.5 and below 1, for example 0.95")
    return value


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """One of these words."""

    def word(raw: str) -> str:
        if raw not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return raw

    return word


def gate_mode(raw: str) -> str:
    """What gates on pass rates are about."""
    return one_of(GATE_MODES)(raw)


def undecided(raw: str) -> str:
    """What a gate in confidence mode says when the attempts settle it neither way."""
    return one_of(UNDECIDED)(raw)


def profile(raw: str) -> str:
    """The form in which the reliability profile is shown."""
    if raw not in PROFILES:
        words = " or ".join(PROFILES)
        raise ValueError(f"must be {words}; with a path after it, write --agent-profile={PROFILES[0]}")
    return raw


def yes_or_no(raw: str) -> bool:
    """A switch in an ini file."""
    words = {"yes": True, "true": True, "no": False, "false": False}
    if raw.strip().lower() not in words:
        raise ValueError("must be yes or no")
    return words[raw.strip().lower()]


def early_stop(raw: str) -> EarlyStop:
    """A kind of early stopping."""
    return EarlyStop(one_of(tuple(EarlyStop))(raw))


def model(raw: str) -> str:
    """Inspect's name of a model."""
    name = raw.strip()
    if not name:
        raise ValueError("is an empty model name: give PROVIDER/MODEL, for example openai/gpt-5-mini")
    provider, _, rest = name.partition("/")
    if not provider or not rest:
        raise ValueError("must be PROVIDER/MODEL, for example openai/gpt-5-mini or agenteval/noisy")
    if provider == "agenteval" and name not in BUILT_IN_MODELS:
        raise ValueError(f"is no built-in model: they are {', '.join(BUILT_IN_MODELS)}")
    return name


def pair(raw: str) -> tuple[str, Any]:
    """`NAME=VALUE`, the value as JSON where it is JSON, else as text."""
    import json

    name, equals, value = raw.partition("=")
    if not equals or not name.strip():
        raise ValueError("must be NAME=VALUE")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value


def cell(raw: str) -> tuple[str, str | None]:
    """`MODEL[,SCAFFOLD]`: a cell of the baseline."""
    name, comma, scaffold = raw.partition(",")
    if comma and not scaffold.strip():
        raise ValueError("must be MODEL or MODEL,SCAFFOLD, for example openai/gpt-5-mini,react")
    return model(name), scaffold.strip() or None


def role(raw: str) -> tuple[str, str]:
    """`NAME=MODEL`: a role other than the agent, and the model that plays it."""
    name, equals, played_by = raw.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name.strip()):
        raise ValueError("must be NAME=PROVIDER/MODEL, for example user=openai/gpt-5-mini")
    if name.strip() == "agent":
        raise ValueError("names the agent under evaluation: give its model with --agent-model")
    if played_by.strip().startswith("agenteval/"):
        raise ValueError("gives the role to a built-in model: they play agents only, so leave the role out")
    return name.strip(), model(played_by)


def file(raw: str) -> Path:
    """An existing file."""
    path = Path(raw).expanduser()
    if not path.is_file():
        raise ValueError("is not a file: check the path")
    return path


def place(raw: str) -> str:
    """An existing file or directory, or an address, which is not looked up yet."""
    if "://" in raw:
        return raw
    path = Path(raw).expanduser()
    if not raw.strip() or not path.exists():
        raise ValueError("is not there: check the path")
    return str(path)


def path(raw: str) -> Path:
    """A file to be written; its directory is created if necessary."""
    if not raw.strip() or Path(raw).is_dir():
        raise ValueError("must be the path of a file to write")
    return Path(raw).expanduser()


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""The units of a duration, shortest first."""


def duration(raw: str) -> float:
    """A time in seconds, from a text such as 90s, 30m, 12h or 7d."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", raw.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError("must be a time above 0 with its unit, for example 30m, 12h or 7d")
    return seconds


def shard(raw: str) -> tuple[int, int]:
    """(part, number of parts)."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", raw.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("must be I/N, the I-th of N parts, for example 1/3")
    return int(match[1]), int(match[2])


def sandbox(raw: str) -> str:
    """The name of a sandbox: ours, a plugin's or Inspect's. Only ours are known before the run is prepared."""
    if not re.fullmatch(r"[A-Za-z][\w.-]*", raw):
        raise ValueError(f"must be {', '.join(SANDBOXES)}, or the name of a sandbox of a plugin or of Inspect")
    return raw


def url(raw: str) -> str:
    """An address that begins with http:// or https://."""
    if not re.match(r"https?://[^/]", raw):
        raise ValueError("must be an address that begins with http:// or https://")
    return raw


def text(raw: str) -> str:
    """Any text except an empty one."""
    if not raw.strip():
        raise ValueError("is empty: give it a value or leave it out")
    return raw


def robustness(raw: str) -> tuple[str | None, float]:
    """`[NAME:]RATE`: (perturbation or None for all, the least R, which may be above 1)."""
    name, colon, rest = raw.strip().rpartition(":")
    least = _number(rest)
    if (colon and not name) or not 0 <= least <= 10:
        raise ValueError("must be RATE or NAME:RATE, for example 0.9 or exec-faults:0.9")
    return name or None, least


def violations(raw: str) -> tuple[str, int]:
    """`[SEVERITY:]N`: (severity, how many attempts may break a rule of it or of a worse one)."""
    severity, colon, most = raw.strip().rpartition(":")
    if (colon and severity not in SEVERITIES) or not re.fullmatch(r"\d{1,9}", most):
        raise ValueError(f"must be N or SEVERITY:N with one of {', '.join(SEVERITIES)}, for example high:0")
    return severity or SEVERITIES[0], int(most)


def _number(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        return math.nan
