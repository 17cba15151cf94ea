"""Values in a JSON configuration. What is right is the drawn document with the drawn changes, not an edited text."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["CONFIGURATION"]

_NUMBERS = ("timeout", "retries", "port", "workers", "depth", "limit", "window", "batch")
_TEXTS = {
    "level": ("debug", "info", "warning"),
    "mode": ("fast", "safe", "strict"),
    "region": ("north", "south", "west"),
}
_GROUPS = ("server", "queue", "store")


def _deal(rng: random.Random, steps: int) -> Deck:
    numbers = rng.sample(_NUMBERS, 6)
    values: dict[str, Any] = dict(zip(numbers, rng.sample(range(12, 98), 6), strict=True))
    values |= {name: rng.choice(texts) for name, texts in _TEXTS.items()}
    names = rng.sample(sorted(values), len(values))
    groups = rng.sample(_GROUPS, 3)
    place = {name: groups[at % 3] for at, name in enumerate(names)}
    start: dict[str, Any] = {group: {n: values[n] for n in names if place[n] == group} for group in groups}
    changed = rng.sample(names, min(steps, 7))
    end = copy.deepcopy(start)
    parts = []
    for name in changed:
        old = values[name]
        new: Any = old + rng.randint(1, 9) if isinstance(old, int) else rng.choice(sorted({*_TEXTS[name]} - {old}))
        end[place[name]][name] = new
        parts.append(_part(place[name], name, old, new))
    return Deck(
        title="Values in a JSON configuration",
        intro="Change settings.json as follows. Everything else in it keeps its value and type.",
        parts=parts,
        files={"settings.json": json.dumps(start, indent=2) + "\n"},
        checks=[{"kind": "json-equals", "path": "settings.json", "value": end}],
    )


def _part(group: str, name: str, old: Any, new: Any) -> Part:
    def edit(value: Any) -> str:
        return f'sed -i \'s/"{name}": {json.dumps(old)}/"{name}": {json.dumps(value)}/\' settings.json'

    python = f"import json; d = json.load(open('settings.json')); d['{group}']['{name}'] = {new!r}; "
    python += "json.dump(d, open('settings.json', 'w'))"
    wrong_type: Any = str(new) if isinstance(new, int) else [new]
    return Part(
        f"Set `{name}` in `{group}` to {new if isinstance(new, int) else json.dumps(new)}.",
        edit(new),
        [],
        [("the wrong type", edit(wrong_type)), ("leaves it", "true")],
        f'python3 -c "{python}"',
    )


CONFIGURATION = PartsFamily(
    name="configuration",
    about="Change values in a JSON configuration and keep the rest.",
    topics=("config", "configuration", "settings", "json", "yaml", "edit", "deployment", "devops", "operations"),
    deal=_deal,
)
"""The family."""
