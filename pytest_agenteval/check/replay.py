"""`--replay`: the play behind a finding, from its log."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pytest_agenteval.check.findings import CheckResult
from pytest_agenteval.engine.logs.conversations import LogConversations
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.conversation import Message, Text
from pytest_agenteval.redaction import secret_values

__all__ = ["replay_lines"]


def replay_lines(result: CheckResult, finding_id: str) -> Iterator[str]:
    """What was said and done in the play that a finding names.

    Raises:
        NotReady: there is no such finding in this check, no play shows it, or the log is gone.
    """
    chosen = next((finding for finding in result.findings if finding.id == finding_id), None)
    if chosen is None:
        raise NotReady(f"this check has no finding {finding_id}: check the same paths at the same level")
    task = next((task.task for task in result.tasks if task.task.name == chosen.task), None)
    every = () if task is None else (*task.plays, *result.beside.get(task.name, ()))
    plays = [each for each in every if each.play.name == chosen.replay]
    if task is None or not plays:
        raise NotReady(f"no play shows {chosen.rule} of {chosen.task or 'the suite'}: it comes from what is written")
    played = plays[-1]
    talk = LogConversations(secret_values(os.environ))(task.nodeid, played.number, played.log or "")
    if talk is None:
        raise NotReady(f"{played.log} does not hold the play any longer: check again with --fresh")
    yield f"{chosen.rule} {chosen.task}: {chosen.message}"
    yield f"play {played.play.name}: {played.outcome}{f', {played.message}' if played.message else ''}"
    if played.play.after:
        yield f"changed before the answer: {played.play.after}"
    yield f"in {played.log}, attempt {played.number}"
    for message in talk.messages:
        yield ""
        yield from _told(message)


def _told(message: Message) -> Iterator[str]:
    yield f"[{message.speaker or message.role}]"
    if message.text.head:
        yield _whole(message.text)
    for call in message.calls:
        yield f"> {call.tool} {_whole(call.arguments)}"
        if call.result is not None:
            yield _whole(call.result)


def _whole(text: Text) -> str:
    return f"{text.head} ... {text.tail}" if text.cut else text.head
