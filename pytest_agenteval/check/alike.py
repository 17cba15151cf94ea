"""AE701: tasks that ask for nearly the same thing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations

__all__ = ["ALIKE", "clusters", "contained", "nearest", "shingles", "similarity"]

ALIKE = 0.7
"""The Jaccard index of word 5-grams from which two tasks are near-duplicates."""
_WORDS = 5


@lru_cache(maxsize=4096)
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """The word 5-grams of a text; of a shorter one, the text itself."""
    words = re.findall(r"\w+", text.casefold())
    most = max(1, len(words) - _WORDS + 1)
    return frozenset(tuple(words[at : at + _WORDS]) for at in range(most)) if words else frozenset()


def clusters(texts: Mapping[str, str], alike: float = ALIKE) -> list[tuple[list[str], float]]:
    """Groups of tasks with nearly the same text, and the lowest similarity by which two of a group hang together.

    Args:
        texts: by task, what it asks for and what it starts from.
        alike: the least Jaccard index.
    """
    grams = {name: shingles(text) for name, text in texts.items()}
    group = {name: {name} for name in grams}
    least: dict[str, float] = {}
    for one, other in combinations(grams, 2):
        found = _jaccard(grams[one], grams[other])
        if found < alike:
            continue
        merged = group[one] | group[other]
        low = min([found, *(least[name] for name in merged if name in least)])
        for name in merged:
            group[name], least[name] = merged, low
    seen = {frozenset(names): least[next(iter(names))] for names in group.values() if len(names) > 1}
    return [([name for name in texts if name in names], low) for names, low in seen.items()]


def similarity(one: str, other: str) -> float:
    """The Jaccard index of the word 5-grams of two texts."""
    return _jaccard(shingles(one), shingles(other))


def nearest(texts: Mapping[str, str]) -> dict[str, str]:
    """By task, the other one with the most similar text; the first one of several."""
    grams = {name: shingles(text) for name, text in texts.items()}
    found = {}
    for name in grams:
        others = [other for other in grams if other != name]
        if others:
            found[name] = max(others, key=lambda other, own=name: _jaccard(grams[own], grams[other]))  # type: ignore[misc]
    return found


def contained(part: str, whole: str, *, beside: str = "") -> float | None:
    """The share of a text's word 5-grams that another text holds, without those that `beside` has as well.

    None where fewer than five are left: so little is found anywhere.
    """
    wanted = shingles(part) - shingles(beside)
    return len(wanted & shingles(whole)) / len(wanted) if len(wanted) >= _WORDS else None


def _jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    small = min(len(one), len(other))
    if not small:
        return 0.0
    both = len(one & other)
    return both / (len(one) + len(other) - both)
