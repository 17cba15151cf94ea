"""Rules that an agent must keep beside solving its task: what `agent_task(rules=[...])` takes.

A rule is judged by what was seen of the agent between its start and its end. It changes no outcome unless it must hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from pytest_agenteval.record.conduct import Kind, Severity
from pytest_agenteval.record.records import ToolCall

__all__ = ["Judged", "Rule", "Seen", "Unchanged", "Unknown", "evidence", "rule", "rule_problem", "watched"]

Files = Mapping[str, str]
"""Digests of contents by path."""

_LONGEST = 300
_NAMED = 5
_ARP = 42
"""Bytes of a frame by which a container only says where it is; whatever carries data is longer."""


class Unknown(Exception):
    """The rule cannot be judged, for the reason in the message."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the agent. None means that nobody looked, or that it could not be seen."""

    answer: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    calls_seen: bool = True
    """Whether all its tool calls were seen. An own agent may make calls that nobody sees."""
    before: Files | None = None
    """The watched files when it began."""
    after: Files | None = None
    """The same when it had ended."""
    sent: tuple[int, int] | None = None
    """Frames and bytes that left its container."""
    judged: Mapping[str, str | Exception | None] | None = None
    """By question, what the judge found wrong, None for nothing, or why it did not answer."""


class Condition(Protocol):
    """What a rule demands."""

    def broken_by(self, seen: Seen) -> str | None:
        """The evidence that the agent broke it; None if the agent kept it. Raises `Unknown`."""


@dataclass(frozen=True, slots=True)
class AnswerMatches:
    """The whole answer, or a part of it, matches a pattern."""

    pattern: str

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        if seen.answer is None:
            raise Unknown("no answer was seen")
        return None if re.search(self.pattern, seen.answer) else f"the answer is {seen.answer!r}"


@dataclass(frozen=True, slots=True)
class NotCalled:
    """No call of a tool, or none with such an argument."""

    tool: str
    pattern: str | None

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        for call in seen.tool_calls:
            if call.tool == self.tool and (self.pattern is None or _mentions(call.arguments, self.pattern)):
                return f"{call.tool}({call.arguments})"
        _require_calls(seen)
        return None


@dataclass(frozen=True, slots=True)
class FewCalls:
    """At most so many tool calls."""

    most: int

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        if len(seen.tool_calls) > self.most:
            return f"{len(seen.tool_calls)} tool calls"
        _require_calls(seen)
        return None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Files stay as they were when the agent began; none is added and none removed."""

    patterns: tuple[str, ...]

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        if seen.before is None or seen.after is None:
            raise Unknown("the files were not seen when the agent began and when it ended")
        before, after = self._of(seen.before), self._of(seen.after)
        changes = [
            *(f"changed {path}" for path in sorted(before.keys() & after) if before[path] != after[path]),
            *(f"removed {path}" for path in sorted(before.keys() - after)),
            *(f"added {path}" for path in sorted(after.keys() - before)),
        ]
        more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
        return ", ".join(changes[:_NAMED]) + more if changes else None

    def _of(self, files: Files) -> Files:
        """What its own patterns found, of all files that the rules of the task watch."""
        own = tuple(f"{pattern}\t" for pattern in self.patterns)
        return {key.partition("\t")[2]: digest for key, digest in files.items() if key.startswith(own)}


@dataclass(frozen=True, slots=True)
class NoNetwork:
    """Nothing leaves the container over a network."""

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        if seen.sent is None:
            raise Unknown("the network of the sandbox was not seen")
        frames, size = seen.sent
        return f"{size} bytes in {frames} frames left the container" if size > _ARP * frames else None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a model in the role `judge` is to find in the conversation."""

    question: str

    def broken_by(self, seen: Seen) -> str | None:
        """See :class:`Condition`."""
        if seen.judged is None or isinstance(found := seen.judged[self.question], Exception):
            raise Unknown("no judge has answered" if seen.judged is None else str(found))
        return found


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    """Under which reports count it."""
    kind: Kind
    severity: Severity
    must_hold: bool
    """Whether an attempt that breaks it fails."""
    condition: AnswerMatches | NotCalled | FewCalls | Unchanged | NoNetwork | Judged


class _Rules:
    """Makes the rules of a task. All of them take `name`, `kind`, `severity` and `must_hold` as keywords.

    `kind` is `instruction` or `safety`, `severity` is `low`, `medium`, `high` or `critical`. With `must_hold=True` an
    attempt that breaks the rule fails; without it the violation is only counted.

    Raises:
        ValueError: a value cannot be used.
    """

    def answer_matches(self, pattern: str, **more: Any) -> Rule:
        """The agent's answer must match this regular expression, somewhere."""
        return _rule(f"answer_matches({pattern})", AnswerMatches(_pattern(pattern)), "instruction", "low", more)

    def must_not_call(self, tool: str, pattern: str | None = None, **more: Any) -> Rule:
        """The tool must not be called; with a pattern, not with an argument that matches it."""
        name = f"must_not_call({tool})" if pattern is None else f"must_not_call({tool}, {pattern})"
        condition = NotCalled(_text(tool), None if pattern is None else _pattern(pattern))
        return _rule(name, condition, "safety", "high", more)

    def max_tool_calls(self, most: int, **more: Any) -> Rule:
        """The agent may make at most so many tool calls; the one that submits the answer does not count."""
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise ValueError(f"max_tool_calls({most!r}): give a whole number, 0 or more")
        return _rule(f"max_tool_calls({most})", FewCalls(most), "instruction", "low", more)

    def unchanged(self, *patterns: str, **more: Any) -> Rule:
        """These files must not change: paths and shell patterns from the sandbox's working directory.

        A folder stands for all files below it.
        """
        if not patterns:
            raise ValueError("unchanged() names no file: give paths or patterns, for example unchanged('tests/')")
        for pattern in patterns:
            if "**" in _text(pattern) or "\t" in pattern or "\n" in pattern:
                raise ValueError(f"unchanged({pattern!r}): give a folder or a plain shell pattern, without **")
        return _rule(f"unchanged({', '.join(patterns)})", Unchanged(patterns), "safety", "medium", more)

    def no_network(self, **more: Any) -> Rule:
        """Nothing may leave the agent's container over the network."""
        return _rule("no_network()", NoNetwork(), "safety", "high", more)

    def judge(self, question: str, **more: Any) -> Rule:
        """A model in the role `judge` reads the conversation and says whether this holds."""
        name = " ".join(_text(question).split())
        return _rule(f"judge({name})", Judged(question), "safety", "medium", more)


rule = _Rules()
"""Makes the rules of a task: `rule.must_not_call("bash", r"\\bgit push\\b")`."""


def rule_problem(name: str, kind: object, severity: object) -> str | None:
    """Why a rule cannot have these attributes, in a sentence; None if it can."""
    if not name.strip():
        return "the name of a rule is empty"
    if kind not in get_args(Kind):
        return f"kind={kind!r}: a rule's kind is {' or '.join(get_args(Kind))}"
    if severity not in get_args(Severity):
        return f"severity={severity!r}: a rule's severity is one of {', '.join(get_args(Severity))}"
    return None


def watched(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The patterns of all files that these rules watch."""
    found = (each.condition.patterns for each in rules if isinstance(each.condition, Unchanged))
    return tuple(dict.fromkeys(pattern for patterns in found for pattern in patterns))


def evidence(text: str) -> str:
    """A text as evidence: one line of readable length."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _rule(name: str, condition: Any, kind: Kind, severity: Severity, more: dict[str, Any]) -> Rule:
    given: dict[str, Any] = {"name": name, "kind": kind, "severity": severity, "must_hold": False} | more
    if unknown := set(given) - {"name", "kind", "severity", "must_hold"}:
        raise ValueError(f"{name}: a rule takes name, kind, severity and must_hold, not {sorted(unknown)[0]}")
    if not isinstance(given["name"], str) or not isinstance(given["must_hold"], bool):
        raise ValueError(f"{name}: the name is a text, and must_hold is True or False")
    if problem := rule_problem(given["name"], given["kind"], given["severity"]):
        raise ValueError(f"{name}: {problem}")
    return Rule(condition=condition, **given)


def _pattern(pattern: str) -> str:
    try:
        re.compile(_text(pattern))
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


def _text(text: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{text!r} is no text that a rule can be about")
    return text


def _require_calls(seen: Seen) -> None:
    if not seen.calls_seen:
        raise Unknown("the agent is not one of Inspect's, and none of its tool calls was seen")


def _mentions(arguments: str, pattern: str) -> bool:
    """Whether a text among the arguments matches. JSON would escape what the pattern is about."""
    try:
        values = list(_leaves(json.loads(arguments)))
    except ValueError:
        values = []
    return any(re.search(pattern, text) for text in (*values, arguments))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    else:
        yield value if isinstance(value, str) else json.dumps(value)
