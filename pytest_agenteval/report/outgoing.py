"""Data that leaves the logs: every text in it is redacted, and reports of pytest are also made inert."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, TypeVar

from pytest_agenteval.record.conversation import cut_text
from pytest_agenteval.redaction import redact, redact_address, redact_around
from pytest_agenteval.texts import inert, map_texts

__all__ = ["clean_report", "without_secrets"]

Data = TypeVar("Data")

_LONGEST = 50_000
"""Characters of one text in a report of pytest, because an agent may print without end."""


def without_secrets(data: Data, secrets: Collection[str] = ()) -> Data:
    """The same data with every text in it redacted; parts without secrets are not copied.

    Names that we made ourselves (of logs, of containers that are kept) only lose the password of an address. Redact a
    text before it is wrapped, cut or escaped, because half a key cannot be recognised.

    Args:
        data: texts, numbers, dataclasses, tuples, lists, sets and mappings of them, nested to any depth.
        secrets: values to redact wherever they stand.
    """

    @cache
    def redacted(text: str) -> str:
        return redact(text, secrets)

    return map_texts(data, redacted, redact_address)


def clean_report(report: Any, secrets: Collection[str] = (), logs: Collection[str] = ()) -> None:
    """Redact what a report of pytest shows, make it inert, and cut it: its traceback or reason, and the captured
    output.

    It is changed in place, so that the terminal, JUnit and every other reporter see the same object.

    Args:
        report: of an agent task.
        secrets: values to redact wherever they stand.
        logs: our own paths as the report writes them, which may look like a key.
    """

    def clean(text: str) -> str:
        shown = cut_text(text, _LONGEST, lambda whole: redact_around(whole, secrets, logs))
        return inert(f"{shown.head}\n[{shown.cut} characters left out]\n{shown.tail}" if shown.cut else shown.head)

    report.sections = [(name, clean(text)) for name, text in report.sections]
    report.longrepr = _cleaned(report.longrepr, clean)


def _cleaned(part: Any, change: Callable[[str], str]) -> Any:
    """A part of a traceback (a tree of dataclasses that are changed in place) or of a reason (texts)."""
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        for field in dataclasses.fields(part):
            setattr(part, field.name, _cleaned(getattr(part, field.name), change))
        return part
    if isinstance(part, list | tuple) and part and all(isinstance(line, str) for line in part):
        return _cleaned_lines(part, change)
    if isinstance(part, list | tuple):
        return type(part)(_cleaned(each, change) for each in part)
    return change(part) if isinstance(part, str) else part


def _cleaned_lines(lines: Any, change: Callable[[str], str]) -> Any:
    if isinstance(lines, list):  # of source and message together, because a key may have several lines
        return change("\n".join(lines)).split("\n")
    if len(lines) == 2:  # an argument of a function, whose name may say that its value is secret
        name, value = lines
        said, equals, shown = change(f"{name} = {value}").partition(" = ")
        return (said, shown) if equals else (name, change(value))
    return tuple(map(change, lines))
