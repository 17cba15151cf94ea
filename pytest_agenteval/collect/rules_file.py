"""The file of `--agent-rules`: rules for all tasks of a run, as TOML.

Each `[[rule]]` names its condition and may have `name`, `kind`, `severity` and `must_hold`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pytest_agenteval.collect.rules import Rule, rule
from pytest_agenteval.errors import NotReady, did_you_mean

__all__ = ["read_rules"]

_CONDITIONS = ("answer_matches", "must_not_call", "max_tool_calls", "unchanged", "no_network", "judge")
_MORE = ("name", "kind", "severity", "must_hold")


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules in the file.

    Raises:
        NotReady: it cannot be read, or a rule in it cannot be used.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotReady(f"--agent-rules={path} cannot be read: {error}") from None
    entries = content.get("rule")
    if set(content) != {"rule"} or not isinstance(entries, list) or not entries:
        raise NotReady(f"--agent-rules={path} must hold one or more tables [[rule]], and nothing else")
    return tuple(_read(entry, f"--agent-rules={path}: rule {number}") for number, entry in enumerate(entries, 1))


def _read(entry: Any, where: str) -> Rule:
    if not isinstance(entry, dict):
        raise NotReady(f"{where} is no table")
    for key in entry:
        if key not in (*_CONDITIONS, *_MORE, "pattern"):
            raise NotReady(f"{where} has no {key!r}: {did_you_mean(key, [*_CONDITIONS, *_MORE], _known())}")
    conditions = [key for key in entry if key in _CONDITIONS]
    if len(conditions) != 1:
        raise NotReady(f"{where} must have exactly one condition; {_known()}")
    name, value = conditions[0], entry[conditions[0]]
    more = {key: entry[key] for key in _MORE if key in entry}
    if "pattern" in entry and name != "must_not_call":
        raise NotReady(f"{where}: only must_not_call takes a pattern beside it")
    try:
        if name == "must_not_call":
            return rule.must_not_call(value, entry.get("pattern"), **more)
        if name == "unchanged":
            return rule.unchanged(*([value] if isinstance(value, str) else value), **more)
        if name == "no_network":
            return rule.no_network(**more)
        made: Rule = getattr(rule, name)(value, **more)
        return made
    except (TypeError, ValueError) as error:
        raise NotReady(f"{where}: {error}") from None


def _known() -> str:
    return f"the conditions are {', '.join(_CONDITIONS)}"
