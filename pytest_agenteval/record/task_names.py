"""A task's name without its cell: the same in all cells and in all runs.

Node ids name the cell only if a run has several cells.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["from_text", "remaining_ids"]


def remaining_ids(
    left_out: Collection[str], params: Mapping[str, object], ids: Sequence[str], together: Iterable[Sequence[str]]
) -> list[str]:
    """The ids of a test's parameters without those of the parameters to leave out.

    Args:
        left_out: the names of the parameters to leave out.
        params: values by name, in the order in which pytest took them.
        ids: in the same order, one for each `parametrize`, without those that pytest hides.
        together: the groups of names that one `parametrize` sets at once; such a group shares one id.
    """
    if not params.keys() & set(left_out):
        return list(ids)
    groups = _groups(list(params), [tuple(names) for names in together])
    if len(groups) != len(ids):  # some are hidden, or a hook set several at once: compare the texts
        return _without_equal([str(params[name]) for name in params if name in left_out], ids)
    remaining = []
    for names, text in zip(groups, ids, strict=True):
        rest = [name for name in names if name not in left_out]
        if len(rest) == len(names):
            remaining.append(text)
        elif rest:
            remaining.append("-".join(_id(params[name]) for name in rest))
    return remaining


def from_text(task: str, cell: Sequence[str]) -> str:
    """The name, read from the node id, for logs without it: `t.py::test_a[openai/gpt-5-3]` becomes `t.py::test_a[3]`.

    Args:
        task: the node id.
        cell: the texts that may stand for the cell in it, the complete one first.
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
    remaining = list(ids)
    for text in texts:
        if text in remaining:
            remaining.remove(text)
    return remaining


def _id(value: object) -> str:
    """A plain value as pytest writes it; for others the type, because a representation may differ between runs."""
    if value is None or isinstance(value, str | int | float | complex):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))
