"""The closed list of checks: what each kind takes, and how it is written in a test. Pure.

A proposal says what must hold; the code that looks is ours. What a check runs, it runs in the sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from pytest_agenteval.builder.literals import block, literal
from pytest_agenteval.builder.proposal import Check

__all__ = ["KINDS", "Kind", "check_problems", "is_path"]

Takes = tuple[Callable[[Any], bool], str]
"""Whether a value is right, and what it must be."""


def is_path(value: Any) -> bool:
    """Whether it is a relative path that stays below the working directory."""
    if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable():
        return False
    parts = value.split("/")
    return not (value.startswith(("/", "~", "-")) or "\\" in value or {"", ".", ".."} & set(parts) or ".git" in parts)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _rows(value: Any) -> bool:
    return isinstance(value, list) and all(_texts(row) for row in value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


PATH: Takes = (is_path, "a relative path without `..`")
TEXT: Takes = (lambda value: isinstance(value, str), "a text")
SOME_TEXT: Takes = (lambda value: isinstance(value, str) and value.strip() != "", "a text that is not empty")
WORDS: Takes = (lambda value: _texts(value) and len(value) > 0, "a list of texts, the words of a command")
ROWS: Takes = (_rows, "a list of rows, each a list of texts")
PATHS: Takes = (lambda value: isinstance(value, list) and all(map(is_path, value)), "a list of relative paths")
VALUE: Takes = (lambda value: True, "a JSON value")
NAME: Takes = (
    lambda value: isinstance(value, str) and value.isidentifier() and value.isascii(),
    "the name of a Python module or function",
)
CASES: Takes = (
    lambda value: (
        isinstance(value, list)
        and len(value) >= 2
        and all(isinstance(case, list) and len(case) == 2 and isinstance(case[0], list) for case in value)
    ),
    "at least two pairs [arguments, result]",
)
AMOUNT: Takes = (_number, "a number")
TOLERANCE: Takes = (lambda value: _number(value) and value >= 0, "a number of 0 or more")
TABLE_ROWS: Takes = (
    lambda value: isinstance(value, list) and all(isinstance(r, list) for r in value),
    "a list of rows",
)
CHANGES: Takes = (
    lambda value: isinstance(value, dict) and all(isinstance(key, str) for key in value),
    "what is different: a value by `TABLE/ID/FIELD`",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of check."""

    about: str
    """What it looks at, for a model that proposes tasks."""
    fields: Mapping[str, Takes]
    example: Mapping[str, Any]
    lines: Callable[[Check], list[str]]
    """The statements that look, in the body of the test."""
    imports: tuple[str, ...] = ()
    constants: Mapping[str, str] = field(default_factory=dict)
    """Module constants that the statements use: source by name."""


def _read(path: str) -> str:
    return f"await sandbox.read_file({literal(path)})"


def _file_equals(check: Check) -> list[str]:
    return [f"assert {_read(check['path'])} == {block(check['text'], '    ')}, {literal(check['path'])}"]


def _json_equals(check: Check) -> list[str]:
    return [
        f"found = json.loads({_read(check['path'])})",
        f"expected = {block(check['value'], '    ')}",
        "# as JSON, for to Python 1, 1.0 and True are equal",
        f"assert json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True), {literal(check['path'])}",
    ]


def _rows_lines(check: Check) -> list[str]:
    return [
        f"rows = [line.split() for line in ({_read(check['path'])}).splitlines()]",
        f"assert rows == {block(check['rows'], '    ')}, {literal(check['path'])}",
    ]


def _csv_table(check: Check) -> list[str]:
    return [
        f"table = list(csv.reader(({_read(check['path'])}).splitlines()))",
        f"assert table == {block(check['rows'], '    ')}, {literal(check['path'])}",
    ]


def _answer(check: Check) -> list[str]:
    return [f'assert result.answer.strip() == {literal(check["text"].strip())}, "the answer"']


def _number_lines(check: Check) -> list[str]:
    near = f"abs(float(result.answer) - {literal(check['value'])}) <= {literal(check['tolerance'])}"
    return [f'assert {near}, f"the answer {{result.answer}}"']


def _unchanged(check: Check) -> list[str]:
    return [f"assert {_read(check['path'])} == given[{literal(check['path'])}], {literal('changed: ' + check['path'])}"]


def _only_changed(check: Check) -> list[str]:
    return [
        f"for path in given.keys() - {{{', '.join(map(literal, check['paths']))}}}:"
        if check["paths"]
        else "for path in given:",
        '    assert await sandbox.read_file(path) == given[path], f"changed: {path}"',
    ]


def _absent(check: Check) -> list[str]:
    return [
        f'gone = await sandbox.exec(["test", "!", "-e", {literal(check["path"])}], timeout=20)',
        f"assert gone.success, {literal('still there: ' + check['path'])}",
    ]


def _call(check: Check) -> list[str]:
    return [
        f"cases = {block(check['cases'], '    ')}",
        f'call = ["python3", "-c", CALL, {literal(check["module"])}, {literal(check["function"])}]',
        "called = await sandbox.exec(call, input=json.dumps([arguments for arguments, _ in cases]), timeout=20)",
        "assert called.success, called.stderr",
        f"assert json.loads(called.stdout) == [right for _, right in cases], {literal(check['function'])}",
    ]


def _command(check: Check) -> list[str]:
    return [
        f"done = await sandbox.exec({block(check['argv'], '    ')}, timeout=20)",
        f"assert done.stdout.strip() == {block(check['stdout'].strip(), '    ')}, done.stderr",
    ]


def _sqlite(check: Check) -> list[str]:
    query = f'["python3", "-c", QUERY, {literal(check["path"])}, {literal(check["query"])}]'
    return [
        f"asked = await sandbox.exec({query}, timeout=20)",
        "assert asked.success, asked.stderr",
        f"assert json.loads(asked.stdout) == {block(check['rows'], '    ')}, {literal(check['path'])}",
    ]


def _git(check: Check) -> list[str]:
    words = ["git", "-C", check["path"], *check["args"]]
    return [
        f"told = await sandbox.exec({literal(words)}, timeout=20)",
        f"assert told.stdout.strip() == {block(check['stdout'].strip(), '    ')}, told.stderr",
    ]


def _desk(check: Check) -> list[str]:
    return [f"assert desk.changes() == {block(check['changes'], '    ')}"]


CALL = """\
import importlib, json, sys
sys.path.insert(0, ".")
function = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])
print(json.dumps([function(*arguments) for arguments in json.load(sys.stdin)]))
"""
QUERY = """\
import json, sqlite3, sys
print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))
"""

KINDS: Mapping[str, Kind] = {
    "file-equals": Kind(
        "a file holds exactly this text",
        {"path": PATH, "text": TEXT},
        {"path": "out.txt", "text": "3\n"},
        _file_equals,
    ),
    "json-equals": Kind(
        "a JSON file holds this value, with the same types",
        {"path": PATH, "value": VALUE},
        {"path": "settings.json", "value": {"port": 80}},
        _json_equals,
        ("json",),
    ),
    "rows": Kind(
        "the lines of a file, split at blanks, are these rows",
        {"path": PATH, "rows": ROWS},
        {"path": "counts.txt", "rows": [["404", "7"]]},
        _rows_lines,
    ),
    "csv-table": Kind(
        "a CSV file holds this table, however it quotes",
        {"path": PATH, "rows": ROWS},
        {"path": "clean.csv", "rows": [["name", "age"], ["Ann", "7"]]},
        _csv_table,
        ("csv",),
    ),
    "answer": Kind("the answer, without blanks around it, is this text", {"text": SOME_TEXT}, {"text": "42"}, _answer),
    "number": Kind(
        "the answer is a number near this value",
        {"value": AMOUNT, "tolerance": TOLERANCE},
        {"value": 3.14, "tolerance": 0.01},
        _number_lines,
    ),
    "unchanged": Kind("a given file is as it was", {"path": PATH}, {"path": "data.csv"}, _unchanged),
    "only-changed": Kind(
        "all given files but these are as they were", {"paths": PATHS}, {"paths": ["data.csv"]}, _only_changed
    ),
    "absent": Kind("a file is gone", {"path": PATH}, {"path": "old.txt"}, _absent),
    "call": Kind(
        "a Python function of the agent's gives these results; the agent does not see the cases",
        {"module": NAME, "function": NAME, "cases": CASES},
        {"module": "game", "function": "level", "cases": [[[0], 1], [[10], 2]]},
        _call,
        ("json",),
        {"CALL": CALL},
    ),
    "command": Kind(
        "a command in the sandbox prints this",
        {"argv": WORDS, "stdout": TEXT},
        {"argv": ["python3", "tool.py", "--sum"], "stdout": "10"},
        _command,
    ),
    "sqlite": Kind(
        "a query to an SQLite file gives these rows",
        {"path": PATH, "query": SOME_TEXT, "rows": TABLE_ROWS},
        {"path": "shop.db", "query": "SELECT name FROM customer ORDER BY id", "rows": [["Ann"]]},
        _sqlite,
        ("json",),
        {"QUERY": QUERY},
    ),
    "git": Kind(
        "`git ARGS` in a repository prints this",
        {"path": PATH, "args": WORDS, "stdout": TEXT},
        {"path": "repo", "args": ["log", "-1", "--format=%s", "main"], "stdout": "Version 2"},
        _git,
    ),
    "desk": Kind(
        "these records of the desk, and no others, have changed",
        {"changes": CHANGES},
        {"changes": {"orders/1002/status": "cancelled"}},
        _desk,
    ),
}
"""By name. What is not here is no check."""


def check_problems(check: Any, given: Mapping[str, Any], *, has_desk: bool) -> Sequence[str]:
    """What is wrong with the form of a check, as sentences that a model can act on.

    Args:
        check: as proposed.
        given: the files that the agent finds, by path.
        has_desk: whether the proposal has a desk.
    """
    kind = check.get("kind") if isinstance(check, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        return [f"there is no check of the kind {kind!r}; there are {', '.join(KINDS)}"]
    fields = KINDS[kind].fields
    problems = [f"check {kind}: `{name}` must be {what}" for name, (right, what) in fields.items()
                if name not in check or not right(check[name])]  # fmt: skip
    problems += [f"check {kind} takes no `{name}`" for name in check if name not in fields and name != "kind"]
    if problems:
        return problems
    if kind == "unchanged" and check["path"] not in given:
        return [f"check unchanged names {check['path']!r}, which is no given file"]
    if kind == "only-changed" and not given:
        return ["check only-changed needs given files"]
    if kind == "desk" and not has_desk:
        return ["check desk needs a `desk`"]
    return []
