"""The values of a test's parameters as text that is the same in every process. pytest's node id does not hold them."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["texts_of"]

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, range, EllipsisType})
_UNSTABLE = re.compile(r" at 0x[0-9a-fA-F]")
_SHORTENED = re.compile(r"(^|[\s\[(,])\.\.\.?($|[\s\]),])", re.MULTILINE)
"""Matches the dots in the text of a shortened long array."""


def texts_of(values: Mapping[str, object], root: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """One text per value, and a doubt for each value without one. Paths are relative to the root directory."""
    texts, doubts = [], []
    for name, value in sorted(values.items()):
        try:
            text = _text(value, root)
        except Exception as error:  # a __repr__ may raise anything
            text = "not known"
            doubts.append(f"the value of the parameter {name} has no text that can be compared ({error})")
        texts.append(f"{name}={text}")
    return tuple(texts), tuple(doubts)


def _text(value: Any, root: str) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if isinstance(value, Enum):
        return f"{_name(kind)}.{value.name}"
    if isinstance(value, type | FunctionType | BuiltinFunctionType) and getattr(value, "__self__", None) is None:
        return _name(value)
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{_name(kind)}({', '.join(_inner(value, root))})"


def _inner(value: Any, root: str) -> Iterable[str]:
    """What an object holds, in a stable order."""
    kind = type(value)
    if kind in (list, tuple) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return (_text(each, root) for each in value)
    if kind is dict:
        return (f"{_text(key, root)}: {_text(each, root)}" for key, each in value.items())
    if kind in (set, frozenset):
        return sorted(_text(each, root) for each in value)
    if isinstance(value, PurePath):
        return [repr((value.relative_to(root) if value.is_relative_to(root) else value).as_posix())]
    if isinstance(value, re.Pattern):
        return [repr(value.pattern), str(value.flags)]
    if isinstance(value, functools.partial):
        return (_text(each, root) for each in (value.func, value.args, value.keywords))
    if isinstance(value, MethodType):
        return (_text(each, root) for each in (value.__func__, value.__self__))
    if dataclasses.is_dataclass(value):
        return (f"{field.name}={_text(getattr(value, field.name), root)}" for field in dataclasses.fields(value))
    text = repr(value)
    if _UNSTABLE.search(text):
        raise ValueError(f"it holds a {_name(kind)} without a __repr__ of its own")
    if _SHORTENED.search(text):
        raise ValueError(f"the text of a {_name(kind)} leaves something out")
    return [text]


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
