"""From pytest's items and attempts' records to what a check knows of them."""

from __future__ import annotations

import os
from datetime import datetime

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.player import Player
from pytest_agenteval.check.plays import Role, Steps
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import AttemptRecord, total_of
from pytest_agenteval.sandbox.asked.choice import Choice, ChoiceError, ConfigFile, NamedImage, choose

__all__ = ["played_of", "steps_of", "task_of"]

_LONGEST_ANSWER = 20_000
"""Characters that are kept: the dump of a large sandbox is in the log."""


def task_of(item: AgentItem, default: str | None) -> Task:
    """A collected task, not yet played; `default` names the run's default sandbox."""
    file, line, _ = item.location
    options = item.options
    sandbox = _sandbox(item, default)
    return Task(
        name=item.task_name,
        nodeid=item.nodeid,
        file=file,
        line=(line or 0) + 1,
        steps=steps_of(item),
        answer=options.answer,
        solvable=options.solvable,
        time_limit=options.time_limit,
        turn_limit=options.turn_limit,
        grading_time_limit=options.grading_time_limit,
        sandbox_file=os.path.relpath(sandbox.path, item.config.rootpath) if isinstance(sandbox, ConfigFile) else None,
        image=sandbox.image if isinstance(sandbox, NamedImage) else None,
        source=item.source,
        family=f"{getattr(item.parent, 'nodeid', file)}::{item.originalname}",
        holdout=_holdout(options.holdout),
        own_prompt=item.plan.uses_ours("agent"),
    )


def _sandbox(item: AgentItem, default: str | None) -> Choice | None:
    if not item.plan.uses_ours("agent", "sandbox"):
        return None
    try:
        return choose(item.options.sandbox, folder=item.path.parent, root=item.config.rootpath, default=default)
    except ChoiceError:
        return None  # whoever prepares it will say so


def _holdout(asked: str | bool) -> str | None:
    return ("samples" if asked else None) if isinstance(asked, bool) else asked


def steps_of(item: AgentItem) -> Steps:
    """The steps of its solution; none if it declares none."""
    steps = item.options.steps or ()
    return tuple(step if isinstance(step, str) else (step[0], dict(step[1])) for step in steps)


def played_of(player: Player, number: int, attempt: AttemptRecord | None) -> Played:
    """What came of a play, from the record of its attempt and what the player saw; without a record it never ran."""
    play, seen = player.plays[number - 1], player.seen.get(number)
    if attempt is None:
        return Played(play, Outcome.NOT_RUN, message="it never ran")
    ended = None if seen is None else seen.ended
    judged = [call for call in attempt.model_calls if call.role != "agent"]
    finished = None if attempt.ended is None else datetime.fromisoformat(attempt.ended).timestamp()
    return Played(
        play=play,
        outcome=attempt.outcome,
        cause=attempt.cause,
        message=attempt.message or str(attempt.cause or ""),
        exception=attempt.exception,
        where=attempt.where,
        answer=(attempt.answer or "")[:_LONGEST_ANSWER],
        start=None if seen is None else seen.start,
        end=None if seen is None else seen.end,
        texts=None if seen is None else seen.texts,
        prompt="" if seen is None else seen.prompt,
        instructions="" if seen is None else seen.instructions,
        request=seen.request if seen is not None and play.role is Role.NULL else "",
        scores={} if seen is None else seen.scores,
        judge_calls=len(judged),
        judge_cost=total_of(call.cost for call in judged),
        swapped=seen is not None and seen.swapped,
        agent_seconds=None if seen is None or ended is None else ended - seen.began,
        grading_seconds=None if ended is None or finished is None else max(0.0, finished - ended),
        turns=0 if seen is None else seen.turns,
        log=attempt.log,
        broke=() if attempt.rules is None else tuple(f"{v.rule}: {v.evidence}" for v in attempt.rules.violations),
        number=number,
    )
