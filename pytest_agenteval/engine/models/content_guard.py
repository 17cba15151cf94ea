"""What a model answered and a tool returned, made harmless before Inspect touches it: it is its own attempt's affair.

Without this, Inspect 0.3.285 ends a whole suite with one lone surrogate (it cannot hash the message for its log),
never comes back from a kilobyte of YAML aliases, and takes an argument that Python cannot read for the provider's
fault. tests/compat/test_inspect_content.py tells when it has been mended there.
"""

from __future__ import annotations

import functools
import json
from copy import copy
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import yaml
from inspect_ai.log import EvalSample
from inspect_ai.model import ChatMessage
from pydantic import BaseModel

from pytest_agenteval.engine.inspect_private import SampleSerializationError, condense_sample, is_log_serializable
from pytest_agenteval.engine.inspect_private import call_tools as _call_tools
from pytest_agenteval.engine.inspect_private import run as inspect_run
from pytest_agenteval.texts import encodable

__all__ = ["guard_content", "harmless", "harmless_answer", "harmless_input"]

_Model = TypeVar("_Model", bound=BaseModel)

_DEEPEST = 100
"""Containers in one another: as many as Inspect lets a tool call have."""
_MOST_PARTS = 300_000
"""Containers in one value, one that is there twice counted twice."""
_LONGEST_YAML = 10_000
"""Characters of arguments that are not JSON and are read as YAML, in pure Python; longer ones are taken as text."""


@functools.cache
def guard_content() -> None:
    """Stand before Inspect's parsing of arguments and the writing of its log, once per process."""
    _call_tools.json = SimpleNamespace(**{**vars(json), "JSONDecoder": _Decoder, "loads": _Decoder().decode})  # type: ignore[attr-defined, assignment]
    _call_tools.yaml = SimpleNamespace(**{**vars(yaml), "safe_load": _safe_load})  # type: ignore[attr-defined, assignment]
    inspect_run.condense_sample = _condensed  # type: ignore[attr-defined]


def harmless_input(asked: str | list[ChatMessage]) -> str | list[ChatMessage]:
    """What a model is asked, so that it can be sent and logged."""
    return encodable(asked) if isinstance(asked, str) else [_clean(message) for message in asked]


def harmless_answer(result: Any) -> Any:
    """What a provider's class returned (an output, often with the raw call), so that Inspect can read and log it."""
    if isinstance(result, tuple):
        return tuple(_clean(part) if isinstance(part, BaseModel) else part for part in result)
    return _clean(result) if isinstance(result, BaseModel) else result


def harmless(value: Any) -> Any:
    """The same value, or a copy that can be written: escaped if it is not text, cut if it has no end."""
    return _Copy().of(value, ())


class _Copy:
    """Copies a value of any kind; one that holds itself, or the same part very often, has an end too."""

    def __init__(self) -> None:
        self._left = _MOST_PARTS

    def of(self, value: Any, around: tuple[int, ...]) -> Any:
        """The copy of a part, in containers with these ids."""
        if isinstance(value, str):
            return encodable(value)
        if isinstance(value, bytes):
            return value.decode("utf-8", "backslashreplace")
        record = is_dataclass(value) and not isinstance(value, type)
        if not record and not isinstance(value, BaseModel | dict | list | tuple | set):
            return value
        self._left -= 1
        if self._left < 0 or len(around) >= _DEEPEST or id(value) in around:
            return "[left out: no end was in sight]"
        inside = (*around, id(value))
        if isinstance(value, dict):
            keys = [self.of(key, ()) if isinstance(key, str | bytes) else key for key in value]
            return {key: self.of(each, inside) for key, each in zip(keys, value.values(), strict=True)}
        if isinstance(value, list | tuple | set):
            return [self.of(each, inside) for each in value]
        names = value.__dict__ if isinstance(value, BaseModel) else [field.name for field in fields(value)]
        changed = {name: new for name in names if (new := self.of(old := getattr(value, name), inside)) is not old}
        if isinstance(value, BaseModel):  # nothing is validated again
            return value.model_copy(update=changed)
        made = copy(value)
        for name, new in changed.items():
            object.__setattr__(made, name, new)
        return made


def _clean(value: _Model) -> _Model:
    """Itself if it can be written as JSON, checked at the speed of pydantic, because nearly everything can."""
    try:
        value.model_dump_json(warnings=False)
    except Exception:  # PydanticSerializationError, RecursionError, ValueError: whatever it is, it cannot
        return harmless(value)  # type: ignore[no-any-return]
    return value


class _Decoder(json.JSONDecoder):
    """Takes what Python cannot read for malformed: a number of 5,000 digits raises an error that nobody awaits."""

    def raw_decode(self, s: str, idx: int = 0) -> tuple[Any, int]:
        try:
            return super().raw_decode(s, idx)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), s, idx) from None


class _Loader(yaml.SafeLoader):
    """Refuses aliases, which make an exponential value of a few lines, in the way in which Inspect awaits it."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent) and self.peek_event().anchor in self.anchors:  # type: ignore[no-untyped-call]
            raise RecursionError("aliases")
        return super().compose_node(parent, index)


def _safe_load(text: str) -> Any:
    """For tool arguments: a `YAMLError` says that they are text, a `RecursionError`, that they have aliases."""
    if len(text) > _LONGEST_YAML:
        raise yaml.YAMLError("too long")
    try:
        return yaml.load(text, _Loader)
    except (ValueError, OverflowError) as error:
        raise yaml.YAMLError(str(error)) from None


def _condensed(sample: EvalSample, log_images: bool = True) -> EvalSample:
    """As Inspect's, but what keeps a sample from being written is escaped or left out.

    Where that is not enough it raises, and Inspect writes the sample without its content.
    """
    condensed = _written(sample, log_images) or _written(harmless(sample), log_images)
    if condensed is None:
        raise SampleSerializationError("it holds what JSON has no form for")
    return condensed


def _written(sample: EvalSample, log_images: bool) -> EvalSample | None:
    try:
        condensed = condense_sample(sample, log_images)
    except Exception:  # whatever a value makes pydantic or a hash raise
        return None
    return condensed if is_log_serializable(condensed) else None
