"""What leaves the logs: the same data, with every text in it redacted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pytest_agenteval.redaction import redact

__all__ = ["redact_report", "without_secrets"]

Data = TypeVar("Data")


def without_secrets(data: Data, secrets: Collection[str] = ()) -> Data:
    """The same data with every text in it redacted; what holds no secret is not copied.

    Before a text is wrapped, cut or escaped is the time to redact it: half a key has no shape.

    Args:
        data: texts, numbers, dataclasses, tuples, lists, sets and mappings of them, as deep as they go.
        secrets: values to redact wherever they stand.
    """

    @cache
    def redacted(text: str) -> str:
        return redact(text, secrets)

    clean: Data = _mapped(data, redacted)
    return clean


def redact_report(report: Any, secrets: Collection[str] = ()) -> None:
    """Redact what a report of pytest shows: its traceback or reason, and the sections with captured output.

    It is changed in place: terminal, JUnit and every other reporter see the same object.
    """
    report.sections = [(name, redact(text, secrets)) for name, text in report.sections]
    report.longrepr = _cleaned(report.longrepr, lambda text: redact(text, secrets))


def _mapped(data: Any, change: Callable[[str], str]) -> Any:
    if isinstance(data, str):
        return data if isinstance(data, Enum) else change(data)
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        fields = {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
        changed = {name: new for name, old in fields.items() if (new := _mapped(old, change)) is not old}
        return dataclasses.replace(data, **changed) if changed else data
    if isinstance(data, Mapping):
        pairs = {_mapped(key, change): _mapped(value, change) for key, value in data.items()}
        return pairs if any(pairs.get(key) is not value for key, value in data.items()) else data
    if isinstance(data, tuple | list | set | frozenset):
        parts = [_mapped(part, change) for part in data]
        return data if all(new is old for new, old in zip(parts, data, strict=True)) else type(data)(parts)
    return data


def _cleaned(part: Any, change: Callable[[str], str]) -> Any:
    """A part of a traceback, which is a tree of dataclasses that are changed in place, or of a reason, texts."""
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
    if isinstance(lines, list):  # of source and message: together, for a key may have several lines
        return change("\n".join(lines)).split("\n")
    if len(lines) == 2:  # an argument of a function: its name may say that its value is secret
        name, value = lines
        said, equals, shown = change(f"{name} = {value}").partition(" = ")
        return (said, shown) if equals else (name, change(value))
    return tuple(map(change, lines))
