"""Is a proposal a proposal? What is wrong with its form, as sentences that a model can act on. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Never

from pytest_agenteval.builder.checks import check_problems, is_path
from pytest_agenteval.builder.proposal import Proposal
from pytest_agenteval.check.alike import ALIKE, clusters

__all__ = ["ID", "NotJson", "form_problems", "nearest_of", "parse"]

ID = re.compile(r"[a-z][a-z0-9-]{1,60}")
_KEYS: Mapping[str, type] = {
    "id": str, "subtask": str, "title": str, "prompt": str, "files": dict, "solution": list, "answer": str,
    "checks": list, "mutants": list, "alternatives": list,
}  # fmt: skip
_OPTIONAL: Mapping[str, type] = {"setup": list, "desk": dict, "origin": dict}
_MOST_BYTES = 200_000
_MOST_FILES = 200
_TOOLS: Mapping[str, set[str]] = {
    "find": {"table", "field", "value"},
    "show": {"table", "id"},
    "change": {"table", "id", "field", "value"},
}
"""The tools of a desk, and their arguments."""


class NotJson(ValueError):
    """A model's text holds no JSON value. The message says why."""


def parse(text: str | None) -> Any:
    """The JSON value in a model's text: the whole of it, or its one fenced block. What is not valid is never guessed.

    Raises:
        NotJson: there is none.
    """
    if text is None or not text.strip():
        raise NotJson("the answer is empty")
    blocks = re.findall(r"```(?:json)?[ \t]*\n(.*?)```", text, re.DOTALL)
    reason = ""
    for candidate in (text, *blocks):
        try:
            return json.loads(candidate, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            reason = f"the answer is not JSON: {error}"
    raise NotJson(reason)


def _refused(name: str) -> Never:
    raise ValueError(f"{name} is no JSON number")


def form_problems(data: Any) -> list[str]:
    """What is wrong with a proposal; empty if nothing is."""
    if not isinstance(data, dict):
        return ["the proposal is not a JSON object"]
    problems = list(_shape(data))
    return problems or list(_content(data))


def nearest_of(proposal: Proposal, others: Iterable[Proposal]) -> tuple[str, float] | None:
    """The first of the others that asks for nearly the same, and how alike they are; None if none does."""
    for other in others:
        if found := clusters({"one": proposal.words, "other": other.words}, ALIKE):
            return other.id, found[0][1]
    return None


def _shape(data: Mapping[str, Any]) -> Iterator[str]:
    for key, kind in _KEYS.items():
        if key not in data:
            yield f"`{key}` is missing"
        elif not isinstance(data[key], kind):
            yield f"`{key}` must be a JSON {_json_name(kind)}"
    for key, kind in _OPTIONAL.items():
        if data.get(key) is not None and not isinstance(data[key], kind):
            yield f"`{key}` must be a JSON {_json_name(kind)}"
    for key in data.keys() - _KEYS.keys() - _OPTIONAL.keys():
        yield f"a proposal has no `{key}`"


def _json_name(kind: type) -> str:
    return "string" if kind is str else "object" if kind is dict else "array"


def _content(data: Mapping[str, Any]) -> Iterator[str]:
    try:
        size = len(json.dumps(data, allow_nan=False))
    except (ValueError, RecursionError) as error:
        yield f"it cannot be kept as JSON: {error}"
        return
    if size > _MOST_BYTES:
        yield f"it has {size:,} characters; {_MOST_BYTES:,} are the most"
    if any(_unwritable(text) for text in _texts(data)):
        yield "a text holds a null character or half of a surrogate pair"
    for key in ("id", "subtask"):
        if not ID.fullmatch(data[key]):
            yield f"`{key}` must be lower-case words joined by dashes, not {data[key]!r:.60}"
    for key in ("title", "prompt"):
        if not data[key].strip():
            yield f"`{key}` is empty"
    yield from _file_problems(data["files"])
    yield from _step_problems("setup", data.get("setup") or [], desk=None)
    desk = data.get("desk")
    if desk is not None:
        yield from _desk_problems(desk)
    yield from _way_problems("the proposal", data, desk)
    if not data["checks"]:
        yield "`checks` is empty"
    for check in data["checks"]:
        yield from check_problems(check, data["files"], has_desk=desk is not None)
    for key, least in (("mutants", 2), ("alternatives", 1)):
        if len(data[key]) < least:
            yield f"at least {least} of `{key}` are needed, not {len(data[key])}"
        for number, variant in enumerate(data[key], 1):
            where = f"number {number} of `{key}`"
            if not isinstance(variant, dict) or not isinstance(variant.get("name"), str):
                yield f"{where} must be an object with name, solution, answer and why"
            elif not isinstance(variant.get("why", ""), str):
                yield f"{where}: `why` must be a JSON string"
            else:
                yield from _way_problems(where, variant, desk)
    origin = data.get("origin") or {}
    if origin.keys() - {"family", "model", "seed"} or not all(v is None or isinstance(v, str) for v in origin.values()):
        yield "`origin` has family, model and seed, as texts"


def _file_problems(files: Mapping[str, Any]) -> Iterator[str]:
    if len(files) > _MOST_FILES:
        yield f"it has {len(files)} files; {_MOST_FILES} are the most"
    for path, text in files.items():
        if not is_path(path):
            yield f"the file {path!r:.80} must have a relative path without `..`"
        elif not isinstance(text, str):
            yield f"the file {path!r} must hold a text"
        elif any(other != path and other.startswith(f"{path}/") for other in files):
            yield f"{path!r} is a file and a folder"


def _way_problems(where: str, way: Mapping[str, Any], desk: Any) -> Iterator[str]:
    solution, answer = way.get("solution"), way.get("answer")
    if not isinstance(solution, list) or not isinstance(answer, str):
        yield f"{where} needs a `solution` (array) and an `answer` (string)"
        return
    if where == "the proposal" and not solution and not answer:
        yield "neither `solution` nor `answer` is given"
    yield from _step_problems(f"`solution` of {where}", solution, desk)


def _step_problems(where: str, steps: list[Any], desk: Any) -> Iterator[str]:
    for step in steps:
        if desk is None:
            if not isinstance(step, str) or not step.strip():
                yield f"{where} must be shell commands, each a text that is not empty"
        elif not (isinstance(step, list | tuple) and len(step) == 2 and _is_call(*step)):
            calls = ", ".join(f'["{name}", {{{", ".join(sorted(takes))}}}]' for name, takes in _TOOLS.items())
            yield f"{where} must be calls of the desk's tools: {calls}"


def _is_call(name: Any, arguments: Any) -> bool:
    if not isinstance(name, str) or not isinstance(arguments, dict) or arguments.keys() != _TOOLS.get(name):
        return False
    return all(isinstance(value, str | int) and not isinstance(value, bool) for value in arguments.values())


def _desk_problems(desk: Mapping[str, Any]) -> Iterator[str]:
    if not desk:
        yield "`desk` has no table"
    for table, records in desk.items():
        if not ID.fullmatch(table):
            yield f"the desk's table {table!r:.60} must be lower-case words joined by dashes"
        elif not isinstance(records, dict) or not all(
            isinstance(record, dict) and all(isinstance(value, str | int | None) for value in record.values())
            for record in records.values()
        ):
            yield f"the desk's table {table!r} must be records by id, each with texts and whole numbers by field"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _unwritable(text: str) -> bool:
    return "\x00" in text or any(0xD800 <= ord(character) < 0xE000 for character in text)
