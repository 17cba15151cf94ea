"""What `--agent-perturb` asks for: the names of perturbations and their arguments, checked."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

__all__ = ["FAULT_KINDS", "PROMPTS", "SHAPES", "SURROUNDINGS", "TEXTS", "Asked", "FaultPlan", "perturbation"]

FAULT_KINDS = {
    "exec": ("timeout", "fork", "slow", "truncated"),
    "tool": ("error", "timeout", "malformed", "empty", "slow"),
    "model": ("429", "500", "drop", "timeout"),
}
"""By plane, what can happen to a call."""
TEXTS = ("typos", "lowercase", "whitespace", "markdown", "option-order")
"""Changes of the prompt that need no model."""
SHAPES = ("tool-order", "tool-names", "argument-names", "result-keys")
"""Changes of what the model is told about tools and their results."""
SURROUNDINGS = ("timezone", "locale")
"""Changes of the environment in which the agent's commands run."""
PROMPTS, AUTHOR = "prompts", "author"
_FAULTS = {"faults": tuple(FAULT_KINDS), **{f"{plane}-faults": (plane,) for plane in FAULT_KINDS}}
_NAMES = (*_FAULTS, *TEXTS, *SHAPES, *SURROUNDINGS, PROMPTS, AUTHOR)
_RATE = 0.2


class FaultPlan(NamedTuple):
    """Which faults are injected, and how often."""

    planes: tuple[str, ...]
    rate: float
    """The chance of each call."""
    at: tuple[int, ...]
    """Exactly these calls of each plane, counted from 1; empty: by the rate."""
    kinds: tuple[str, ...]
    """Only these kinds; empty means all of the plane."""

    def of(self, plane: str) -> tuple[str, ...]:
        """The kinds that a call of this plane may meet."""
        known = FAULT_KINDS[plane] if plane in self.planes else ()
        return tuple(kind for kind in known if not self.kinds or kind in self.kinds)


class Asked(NamedTuple):
    """One perturbation."""

    name: str
    """As it was asked for, without arguments: `exec-faults`, `typos+exec-faults`."""
    faults: FaultPlan | None = None
    changes: tuple[str, ...] = ()
    """Of :data:`TEXTS`, :data:`SHAPES` and :data:`SURROUNDINGS`."""
    prompts: tuple[str, ...] | None = None
    """Stored prompts by name; empty means all, None means none."""
    author: bool = False
    """Whether the test itself varies what it sets up."""


def perturbation(raw: str) -> Asked:
    """`NAME[:KEY=VALUE,...]`, several joined by `+`. Raises `ValueError` with what the text must be."""
    asked = Asked("")
    for part in raw.strip().split("+"):
        name, colon, rest = part.partition(":")
        if name not in _NAMES:
            raise ValueError(f"is no perturbation: they are {', '.join(_NAMES)}")
        if name in asked.name.split("+"):
            raise ValueError(f"names {name} twice")
        arguments = dict(_argument(text, part) for text in rest.split(",")) if colon else {}
        asked = _with(asked, name, arguments)._replace(name=f"{asked.name}+{name}".removeprefix("+"))
    return asked


def _with(asked: Asked, name: str, arguments: dict[str, str]) -> Asked:
    if name in _FAULTS:
        if asked.faults is not None:
            raise ValueError("injects faults twice: join planes with `faults`, or give two options")
        return asked._replace(faults=_fault_plan(_FAULTS[name], arguments))
    if name == PROMPTS:
        if unknown := set(arguments) - {"only"}:
            raise ValueError(f"has no argument {sorted(unknown)[0]!r}: prompts take only=NAME/NAME")
        return asked._replace(prompts=tuple(arguments["only"].split("/")) if arguments else ())
    if arguments:
        raise ValueError(f"has an argument, and {name} takes none")
    return asked._replace(author=True) if name == AUTHOR else asked._replace(changes=(*asked.changes, name))


def _argument(text: str, part: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise ValueError(f"has {text!r} in {part!r}: arguments are KEY=VALUE, for example rate=0.1")
    return key.strip(), value.strip()


def _fault_plan(planes: tuple[str, ...], arguments: dict[str, Any]) -> FaultPlan:
    if unknown := set(arguments) - {"rate", "at", "kinds"}:
        raise ValueError(f"has no argument {sorted(unknown)[0]!r}: faults take rate=0.2, at=3/5 and kinds=timeout/slow")
    if "rate" in arguments and "at" in arguments:
        raise ValueError("has rate and at: faults come by chance, or at certain calls")
    try:
        rate = float(arguments.get("rate", _RATE))
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ValueError("has a rate that is no number between 0 and 1")
    at = tuple(arguments["at"].split("/")) if "at" in arguments else ()
    if not all(re.fullmatch(r"[1-9]\d{0,8}", each) for each in at):
        raise ValueError("has an `at` that names no calls: at=3 is the third call, at=3/5 the third and the fifth")
    kinds = tuple(arguments["kinds"].split("/")) if "kinds" in arguments else ()
    known = {kind for plane in planes for kind in FAULT_KINDS[plane]}
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"has no kind {kind!r}: they are {', '.join(sorted(known))}")
    kept = tuple(plane for plane in planes if not kinds or set(FAULT_KINDS[plane]).intersection(kinds))
    return FaultPlan(kept, rate, tuple(int(each) for each in at), kinds)
