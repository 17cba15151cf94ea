"""Plays the plays of one task, and notes what the sandbox looks like before and after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_agenteval.check.facts import Texts
from pytest_agenteval.check.judges import SWAPPED, swapped
from pytest_agenteval.check.plays import Play, Role, dump_answer, spam_answer
from pytest_agenteval.check.states import STATE, host_entries, parse_state, parse_texts, texts_command
from pytest_agenteval.collect.agent_task import ToolUse
from pytest_agenteval.collect.plays import Scene

__all__ = ["Player", "Seen"]

_APART = 2.0
"""Seconds between the first and the last play of a solution: closer together, time stamps are the same."""


@dataclass(slots=True)
class Seen:
    """What a play has met so far."""

    began: float
    """Seconds since the epoch; so is `ended`."""
    prompt: str
    instructions: str
    start: dict[str, str] | None
    texts_before: dict[str, str] | None = None
    end: dict[str, str] | None = None
    texts_after: dict[str, str] | None = None
    ended: float | None = None
    turns: int = 0
    skipped: int = 0
    """Turns of the agent that the scaffold showed it before its first one, as examples."""
    request: str = ""
    """The first model call, as text."""
    swapped: bool = False
    """Whether a judge was asked with its prompt the other way round."""
    scores: dict[str, str] = field(default_factory=dict)
    """What the scorers of an Inspect task gave, by scorer or `scorer/key`."""

    @property
    def texts(self) -> Texts | None:
        """What could be read before and after, where both are known."""
        if self.texts_before is None or self.texts_after is None:
            return None
        return Texts(self.texts_before, self.texts_after)


class Player:
    """The plays of one task: see :class:`pytest_agenteval.collect.plays.Plays`."""

    def __init__(self, plays: Sequence[Play], *, states: bool, on_host: bool) -> None:
        """The player of these plays.

        Args:
            plays: in the order of their numbers.
            states: whether to read the states of the sandbox.
            on_host: whether the sandbox is this host, whose environment holds keys.
        """
        self.plays = tuple(plays)
        self.seen: dict[int, Seen] = {}
        """By number of the attempt; what a repeated try saw replaces what the earlier one did."""
        self._states, self._texts = states, texts_command(environment=not on_host)
        self._first: float | None = None
        """When the first play of the solution began."""

    def __len__(self) -> int:
        return len(self.plays)

    async def act(self, scene: Scene) -> ToolUse:
        """The next step of the play, or its answer."""
        play = self.plays[scene.number - 1]
        known = self.seen.get(scene.number)
        if known is None or scene.turn <= known.skipped:  # examples of the scaffold look like turns that it has had
            await self._begin(play, scene)
        seen = self.seen[scene.number]
        turn = scene.turn - seen.skipped
        seen.turns += 1
        if turn < len(play.steps):
            step = play.steps[turn]
            return ("bash", {"command": step}) if isinstance(step, str) else step
        answer = await self._answer(play, scene)
        if play.after and seen.ended is None:
            await scene.shell(play.after)
        if self._states:
            seen.end = await _state(scene)
            if _reads_texts(play):
                seen.texts_after = parse_texts(await scene.shell(self._texts))
        seen.ended = time.time()
        return "submit", {"answer": answer}

    def scored(self, number: int, scores: Mapping[str, str]) -> None:
        """Keep what the scorers of an Inspect task gave."""
        if number in self.seen:
            self.seen[number].scores = dict(scores)

    def for_judge(self, number: int, prompt: str) -> str:
        """What a judge is asked: its prompt the other way round where the play says so."""
        turned = swapped(prompt) if self.plays[number - 1].operator == SWAPPED else None
        if turned is None or number not in self.seen:
            return prompt
        self.seen[number].swapped = True
        return turned

    async def _begin(self, play: Play, scene: Scene) -> None:
        if play.role is Role.ORACLE and self._first is None:
            self._first = time.monotonic()
        elif self._first is not None and play is self.plays[-1]:
            await asyncio.sleep(self._first + _APART - time.monotonic())
        start = await _state(scene) if self._states else None
        seen = self.seen[scene.number] = Seen(time.time(), scene.prompt, scene.instructions, start)
        seen.skipped, seen.request = scene.turn, scene.request
        if self._states and _reads_texts(play):
            seen.texts_before = parse_texts(await scene.shell(self._texts))
            seen.began = time.time()

    async def _answer(self, play: Play, scene: Scene) -> str:
        if play.role is Role.ECHO:
            return scene.prompt
        if play.role is Role.DUMP:
            texts = parse_texts(await scene.shell(self._texts)) or {}
            return dump_answer(scene.prompt, list(texts.values()))
        if play.role is Role.SPAM:
            return spam_answer(scene.prompt, play.answer)
        return play.answer


async def _state(scene: Scene) -> dict[str, str] | None:
    """The state of the sandbox and of what the fixture `end_state` shows; None if neither is known."""
    inside, outside = parse_state(await scene.shell(STATE)), host_entries(await scene.host_state())
    return {**(inside or {}), **outside} if inside is not None or outside else None


def _reads_texts(play: Play) -> bool:
    """Whether leaks are looked for with this play: once a task is enough."""
    return play.name == "oracle-1"
