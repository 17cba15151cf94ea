"""A module with broken functions. What they should give is computed here, in another way than their repair does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.builder.families.family import Deck, Part, PartsFamily

__all__ = ["REPAIR"]


@dataclass(frozen=True, slots=True)
class _Bug:
    """A function of one expression: as it is, as it should be in two ways, and two near misses."""

    name: str
    parameters: str
    doc: str
    broken: str
    right: str
    other: str
    wrong: tuple[tuple[str, str], tuple[str, str]]
    cases: Sequence[tuple[list[Any], Any]]
    """Arguments and results."""


def _deal(rng: random.Random, steps: int) -> Deck:
    bugs = [make(rng) for make in rng.sample(_BUGS, len(_BUGS))][:steps]
    source = "\n\n".join(f'def {b.name}({b.parameters}):\n    """{b.doc}"""\n    return {b.broken}\n' for b in bugs)
    names = [f"`{bug.name}`" for bug in bugs]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    do = "does not do what its docstring says. Repair it" if len(bugs) == 1 else (
        "do not do what their docstrings say. Repair them")  # fmt: skip
    return Deck(
        title="Functions that do not do what they say",
        intro=f"{listed} in tool.py {do}; names and parameters stay.",
        parts=[_part(bug) for bug in bugs],
        files={"tool.py": source},
    )


def _part(bug: _Bug) -> Part:
    def put(expression: str) -> str:
        return f"sed -i '/^def {bug.name}(/,/return/s|return .*|return {expression}|' tool.py"

    cases = [[arguments, result] for arguments, result in bug.cases]
    return Part(
        "",
        put(bug.right),
        [{"kind": "call", "module": "tool", "function": bug.name, "cases": cases}],
        [(about, put(expression)) for about, expression in bug.wrong],
        put(bug.other),
    )


def _level(rng: random.Random) -> _Bug:
    step = rng.randint(3, 9)
    base = step + rng.randint(1, 20)  # with a base below the step, the near miss without the floor would be right
    points = (0, base - 1, base, base + step - 1, base + step, base + 5 * step + 1)
    return _Bug(
        "level", "points", f"Level 0 below {base} points; 1 from there on, and one more for every {step} points more.",
        f"(points - {base}) // {step}",
        f"0 if points < {base} else 1 + (points - {base}) // {step}",
        f"max(0, 1 + (points - {base}) // {step})",
        (("off by one at the edge", f"0 if points <= {base} else 1 + (points - {base}) // {step}"),
         ("no floor", f"1 + (points - {base}) // {step}")),
        [([p], sum(p >= base + n * step for n in range(20))) for p in points],
    )  # fmt: skip


def _fee(rng: random.Random) -> _Bug:
    cents, most = rng.randint(11, 49), rng.randint(400, 900)
    units = (1, most // cents, most // cents + 1, 100)
    return _Bug(
        "fee", "units", f"{cents} cents for each unit, but never more than {most} cents.",
        f"max({cents} * units, {most})",
        f"min({cents} * units, {most})",
        f"{cents} * units if {cents} * units < {most} else {most}",
        (("no upper bound", f"{cents} * units"), ("always the most", f"{most}")),
        [([n], sorted([sum([cents] * n), most])[0]) for n in units],
    )  # fmt: skip


def _initials(rng: random.Random) -> _Bug:
    names = [["ann berg"], ["Bo van Lind"], ["zoe"], ["eva  maria roth"]]
    return _Bug(
        "initials", "name", "The first letters of all words of a name, as capitals.",
        "name[0].upper()",
        '"".join(word[0] for word in name.split()).upper()',
        '"".join([word[0].upper() for word in name.split()])',
        (("not as capitals", '"".join(word[0] for word in name.split())'),
         ("the first and the last", '(name.split()[0][0] + name.split()[-1][0]).upper()')),
        list(zip(names, ["AB", "BVL", "Z", "EMR"], strict=True)),
    )  # fmt: skip


def _range_of(rng: random.Random) -> _Bug:
    lists = [rng.sample(range(1, 60), 5) for _ in range(3)] + [[7]]
    return _Bug(
        "spread", "numbers", "The difference between the largest and the smallest number.",
        "numbers[-1] - numbers[0]",
        "max(numbers) - min(numbers)",
        "sorted(numbers)[-1] - sorted(numbers)[0]",
        (("the largest alone", "max(numbers)"), ("the other way round", "min(numbers) - max(numbers)")),
        [([numbers], max(abs(a - b) for a in numbers for b in numbers)) for numbers in lists],
    )  # fmt: skip


def _every(rng: random.Random) -> _Bug:
    step = rng.randint(2, 4)
    lists = [list(range(n, n + size)) for n, size in ((10, 9), (3, 6), (50, 1))]
    return _Bug(
        "thin", "items", f"The first item and every item {step} places after one that is kept.",
        f"items[{step}::{step}]",
        f"items[::{step}]",
        f"[item for at, item in enumerate(items) if at % {step} == 0]",
        (("the last ones", f"items[{step - 1}::{step}]"), ("the first alone", "items[:1]")),
        [([items], [item for at, item in enumerate(items) if at in range(0, 99, step)]) for items in lists],
    )  # fmt: skip


def _count_words(rng: random.Random) -> _Bug:
    texts = ["The cat and the hat", "the", "a cat sat", "Then the theme"]
    return _Bug(
        "articles", "text", "How many words of a text are the word 'the', whatever its case.",
        'text.count("the")',
        'text.lower().split().count("the")',
        'sum(word.lower() == "the" for word in text.split())',
        (("lower case only", 'text.split().count("the")'), ("parts of words", 'text.lower().count("the")')),
        list(zip([[text] for text in texts], [2, 1, 0, 1], strict=True)),
    )  # fmt: skip


def _inside(rng: random.Random) -> _Bug:
    low = rng.randint(5, 20)
    high = low + rng.randint(5, 20)
    values = (low - 1, low, low + 1, high - 1, high, high + 1)
    return _Bug(
        "inside", "value", f"Whether a value is at least {low} and below {high}.",
        f"{low} <= value <= {high}",
        f"{low} <= value < {high}",
        f"value in range({low}, {high})",
        (("without the lower bound", f"{low} < value < {high}"), ("no lower bound", f"value < {high}")),
        [([value], {low - 1: False, high: False, high + 1: False}.get(value, True)) for value in values],
    )  # fmt: skip


_BUGS: tuple[Callable[[random.Random], _Bug], ...] = (
    _level, _fee, _initials, _range_of, _every, _count_words, _inside,
)  # fmt: skip
REPAIR = PartsFamily(
    name="repair",
    about="Repair Python functions that do not do what their docstrings say.",
    topics=(
        "code",
        "python",
        "repair",
        "bug",
        "bugs",
        "fix",
        "function",
        "functions",
        "program",
        "programming",
        "debug",
    ),
    deal=_deal,
)
"""The family."""
