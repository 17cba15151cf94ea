"""What is seen of an agent between its start and its end, and what its task's rules say about that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from inspect_ai.log import transcript
from inspect_ai.model import ChatMessage
from inspect_ai.util import SandboxEnvironment

from pytest_agenteval.collect.rules import Judged, NoNetwork, Rule, Seen, Unknown, evidence, watched
from pytest_agenteval.engine.conduct.judge import ask_judge
from pytest_agenteval.engine.logs.events import tool_calls
from pytest_agenteval.record.conduct import RuleResults, Violation
from pytest_agenteval.run.rules import Rules

__all__ = ["Watch"]

_TELL_FILES = r"""
IFS=
for pattern in "$@"; do
    for found in $pattern; do
        case "$found" in /*) ;; *) found="./$found" ;; esac
        [ -e "$found" ] || [ -L "$found" ] || continue
        find "$found" -type f -exec sha256sum {} + | while read -r line; do
            printf 'file\t%s\t%s\n' "$pattern" "$line"
        done
        find "$found" -type l | while read -r link; do
            printf 'link\t%s\t%s\t%s\n' "$pattern" "$(readlink "$link")" "$link"
        done
    done
done
"""
_TELL_NETWORK = "cat /proc/net/dev"
_SECONDS = 120
_PATH = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""The agent may have put programs of its own elsewhere."""


class Watch:
    """Watches one try's agent, as far as the rules of its task ask for that."""

    def __init__(
        self, rules: Sequence[Rule] = (), environment: SandboxEnvironment | None = None, *, contained: bool = False
    ) -> None:
        """`contained` says whether the sandbox has a network of its own."""
        self.answer: str | None = None
        """What the agent answered last; None if it has answered nothing that was seen."""
        self.messages: tuple[ChatMessage, ...] = ()
        """Its conversation."""
        self.results: RuleResults | None = None
        """What the rules say about the attempt; None if it has none, or they were not asked."""
        self._rules, self._patterns = rules, watched(rules)
        self._environment: Any = getattr(environment, "_sandbox", environment)
        self._network = contained and any(isinstance(each.condition, NoNetwork) for each in rules)
        self._before: Mapping[str, str] | None = None
        self._after: Mapping[str, str] | None = None
        self._sent_before: tuple[int, int] | None = None
        self._sent: tuple[int, int] | None = None
        self._first_event: int = 0
        self._last_event: int | None = None
        self._begun = False

    async def agent_begins(self) -> None:
        """Note how things are, when it begins for the first time."""
        if self._begun:
            return
        self._begun, self._first_event = True, len(transcript().events)
        self._before, self._sent_before = await self._files(), await self._counters()

    async def agent_ends(self) -> None:
        """Note how things are now."""
        self._last_event = len(transcript().events)
        if self._patterns and self._before is not None:
            self._after = await self._files()
        if self._sent_before is not None and (now := await self._counters()) is not None:
            self._sent = now[0] - self._sent_before[0], now[1] - self._sent_before[1]

    async def judge(self, body: Rules, *, calls_seen: bool) -> None:
        """Set :attr:`results`, once the agent has ended.

        Args:
            body: what the test's own body has checked.
            calls_seen: whether Inspect ran the agent's tools; the calls of others may not all be seen.
        """
        if not self._rules and not body.checked:
            return
        judged = {}
        for each in self._rules:
            if isinstance(each.condition, Judged):
                judged[each.condition.question] = await ask_judge(each.condition.question, self.messages, self.answer)
        seen = self._seen(judged, calls_seen=calls_seen)
        violations, unknown = list(body.violations), list(body.unknown)
        for each in self._rules:
            try:
                found = each.condition.broken_by(seen)
            except Unknown:
                unknown.append(each.name)
            else:
                if found is not None:
                    violations.append(Violation(each.name, each.kind, each.severity, evidence(found)))
        checked = {each.name: (each.kind, each.severity) for each in self._rules} | body.checked
        broken = {each.rule for each in violations}
        self.results = RuleResults(
            tuple(checked),
            tuple(violations),
            tuple(name for name in dict.fromkeys(unknown) if name not in broken),
            tuple(kind for kind, _ in checked.values()),
            tuple(severity for _, severity in checked.values()),
        )

    @property
    def why_failed(self) -> str | None:
        """Why the attempt cannot pass, in a sentence: a rule that must hold was broken; None otherwise."""
        strict = {each.name for each in self._rules if each.must_hold}
        for violation in () if self.results is None else self.results.violations:
            if violation.rule in strict:
                return f"a rule that must hold was broken, {violation.rule}: {violation.evidence}"
        return None

    def _seen(self, judged: Mapping[str, str | Exception | None], *, calls_seen: bool) -> Seen:
        events = transcript().events[self._first_event : self._last_event] if self._begun else []
        calls = tuple(call for call in tool_calls(events) if call.tool != "submit")
        return Seen(
            answer=self.answer,
            tool_calls=calls,
            calls_seen=calls_seen or bool(calls),
            before=self._before,
            after=self._after,
            sent=self._sent,
            judged=judged,
        )

    async def _files(self) -> Mapping[str, str] | None:
        """Digests of the watched files, by pattern and path; None if there is nothing to watch, or nobody can tell."""
        if not self._patterns or self._environment is None:
            return None
        told = await self._told(["sh", "-c", _TELL_FILES, "sh", *self._patterns])
        if told is None:
            return None
        files = {}
        for line in told.splitlines():
            kind, pattern, *rest = line.split("\t")
            if kind == "link":
                target, path = rest[0], rest[-1]
                files[f"{pattern}\t{path.removeprefix('./')}"] = f"link {target}"
            else:
                digest, _, path = "\t".join(rest).partition("  ")
                files[f"{pattern}\t{path.removeprefix('./')}"] = digest
        return files

    async def _counters(self) -> tuple[int, int] | None:
        """Frames and bytes that have left the container so far; None if nobody asks, or nobody can tell."""
        told = await self._told(["sh", "-c", _TELL_NETWORK]) if self._network else None
        if told is None:
            return None
        frames = size = 0
        for line in told.splitlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                size, frames = size + int(numbers.split()[8]), frames + int(numbers.split()[9])
        return frames, size

    async def _told(self, command: list[str]) -> str | None:
        """What a command in the sandbox says; None if it fails. A lost sandbox is found out about elsewhere."""
        with suppress(Exception):
            done = await self._environment.exec(command, env=_PATH, timeout=_SECONDS)
            return str(done.stdout) if done.success else None
        return None
