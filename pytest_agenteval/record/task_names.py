"""What a task is called without its cell: by this name it is one task in all cells and in all runs.

A run of one cell does not name the cell in its node ids, a run of several does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["from_text", "remaining_ids"]


def remaining_ids(
    left_out: Collection[str], params: Mapping[str, object], ids: Sequence[str], together: Iterable[Sequence[str]]
) -> list[str]:
    """The ids of a test's parameters without those of some of them.

    Args:
        left_out: the names of the parameters to leave out.
        params: values by name, in the order in which pytest has taken them.
        ids: in the same order, one for each `parametrize`; pytest's hidden ids are not in it.
        together: the names that one `parametrize` gives at once, where it gives several: they share an id.
    """
    if not params.keys() & set(left_out):
        return list(ids)
    groups = _groups(list(params), [tuple(names) for names in together])
    if len(groups) != len(ids):  # some are hidden, or a hook gave several at once: only equal texts can be told
        return _without_equal([str(params[name]) for name in params if name in left_out], ids)
    kept = []
    for names, text in zip(groups, ids, strict=True):
        rest = [name for name in names if name not in left_out]
        if len(rest) == len(names):
            kept.append(text)
        elif rest:
            kept.append("-".join(_id(params[name]) for name in rest))
    return kept


def from_text(task: str, cell: Sequence[str]) -> str:
    """The name by the node id's text, for logs that do not say it: `t.py::test_a[openai/gpt-5-3]` is `t.py::test_a[3]`.

    Args:
        task: the node id.
        cell: what may stand for the cell in it, the whole first.
    """
    head, bracket, ids = task.partition("[")
    rest = whole = ids.removesuffix("]")
    for part in cell if bracket else ():
        rest = re.sub(rf"(?:^|-){re.escape(part)}(?=-|$)", "", rest, count=1).removeprefix("-")
        if part == cell[0] and rest != whole:
            break
    return f"{head}[{rest}]" if rest else head


def _groups(names: Sequence[str], together: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    groups: list[tuple[str, ...]] = []
    while (start := sum(map(len, groups))) < len(names):
        same = (group for group in together if tuple(names[start : start + len(group)]) == group)
        groups.append(next(same, (names[start],)))
    return groups


def _without_equal(texts: Iterable[str], ids: Sequence[str]) -> list[str]:
    kept = list(ids)
    for text in texts:
        if text in kept:
            kept.remove(text)
    return kept


def _id(value: object) -> str:
    """As pytest writes a plain value; of others their type, for a representation may differ from run to run."""
    if value is None or isinstance(value, str | int | float | complex):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))
