"""What a model answered and a tool returned, made harmless before Inspect touches it: it is its own attempt's affair.

Without this, Inspect 0.3.285 ends a whole suite with one lone surrogate (it cannot hash the message for its log),
never comes back from a kilobyte of YAML aliases, and takes an argument that Python cannot read for the provider's
fault. tests/compat/test_inspect_content.py tells when it has been mended there.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import yaml
from inspect_ai._eval.task import run as inspect_run
from inspect_ai.log import EvalSample
from inspect_ai.log._condense import SampleSerializationError, condense_sample, is_log_serializable
from inspect_ai.model import ChatMessage, Model, ModelOutput, _call_tools
from pydantic import BaseModel

from pytest_agenteval.texts import encodable

__all__ = ["guard_content", "harmless"]

_Model = TypeVar("_Model", bound=BaseModel)

_GUARDED = "_agenteval_guarded"
_DEEPEST = 100
"""Containers in one another: as many as Inspect lets a tool call have."""
_LONGEST_YAML = 10_000
"""Characters of arguments that are no JSON and are read as YAML, in pure Python: longer ones are taken as text."""


@functools.cache
def guard_content() -> None:
    """Stand before Inspect's model calls, its parsing of arguments and the writing of its log, once per process."""
    _call_tools.json = SimpleNamespace(**{**vars(json), "JSONDecoder": _Decoder, "loads": _Decoder().decode})  # type: ignore[attr-defined, assignment]
    _call_tools.yaml = SimpleNamespace(**{**vars(yaml), "safe_load": _safe_load})  # type: ignore[attr-defined, assignment]
    _guard_model_calls()
    inspect_run.condense_sample = _condensed  # type: ignore[attr-defined]


def harmless(value: Any, depth: int = 0) -> Any:
    """The same value, or a copy in which lone surrogates are escaped and what is nested too deep is left out."""
    if isinstance(value, str):
        return encodable(value)
    if not isinstance(value, BaseModel | dict | list | tuple | set) and not _is_record(value):
        return value
    if depth >= _DEEPEST:
        return f"[nested deeper than {_DEEPEST} levels]"
    if isinstance(value, dict):
        return {harmless(key, depth + 1): harmless(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(harmless(each, depth + 1) for each in value)
    names = value.__dict__ if isinstance(value, BaseModel) else [field.name for field in fields(value)]
    changed = {name: new for name in names if (new := harmless(old := getattr(value, name), depth + 1)) is not old}
    return _with(value, changed)


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _with(value: Any, changed: dict[str, Any]) -> Any:
    """A copy with other fields; nothing is validated again."""
    if isinstance(value, BaseModel):
        return value.model_copy(update=changed)
    made = copy(value)
    for name, new in changed.items():
        object.__setattr__(made, name, new)
    return made


def _writable(value: BaseModel) -> bool:
    """Whether it can be written as JSON: asked at the speed of pydantic, for nearly everything can."""
    try:
        value.model_dump_json(warnings=False)
    except Exception:  # PydanticSerializationError, RecursionError, ValueError: whatever it is, it cannot
        return False
    return True


def _clean(value: _Model) -> _Model:
    return value if _writable(value) else harmless(value)


def _guard_model_calls() -> None:
    """Before and after every call of any model, whoever made it: Inspect's own record of the call comes after."""
    generate = Model.generate

    @functools.wraps(generate)
    async def guarded(self: Model, input: str | list[ChatMessage], *arguments: Any, **named: Any) -> ModelOutput:
        if not hasattr(self.api.generate, _GUARDED):
            self.api.generate = _answering(self.api.generate)  # type: ignore[method-assign, assignment]
        asked = encodable(input) if isinstance(input, str) else [_clean(message) for message in input]
        return await generate(self, asked, *arguments, **named)

    Model.generate = guarded  # type: ignore[method-assign]


def _answering(generate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(generate)
    async def answered(*arguments: Any, **named: Any) -> Any:
        result = await generate(*arguments, **named)
        if isinstance(result, tuple):
            return tuple(_clean(part) if isinstance(part, BaseModel) else part for part in result)
        return _clean(result) if isinstance(result, BaseModel) else result

    setattr(answered, _GUARDED, True)
    return answered


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
    """As `yaml.safe_load`, for the arguments of a tool call.

    Raises:
        yaml.YAMLError: it is no YAML, or has no value (`2024-13-45`), or is too long to find out: it is text.
        RecursionError: it has aliases.
    """
    if len(text) > _LONGEST_YAML:
        raise yaml.YAMLError("too long")
    try:
        return yaml.load(text, _Loader)
    except (ValueError, OverflowError) as error:
        raise yaml.YAMLError(str(error)) from None


def _condensed(sample: EvalSample, log_images: bool = True) -> EvalSample:
    """As Inspect's, for a sample that cannot be written as it is: what keeps it from that is escaped or left out.

    Raises:
        SampleSerializationError: it cannot be written even so: Inspect then writes it without its content.
    """
    try:
        condensed = condense_sample(sample, log_images)
        if is_log_serializable(condensed):
            return condensed
    except Exception:  # whatever a value makes pydantic or a hash raise
        pass
    try:
        return condense_sample(harmless(sample), log_images)
    except SampleSerializationError:
        raise
    except Exception as error:
        raise SampleSerializationError(f"{type(error).__name__}: {error}") from error
