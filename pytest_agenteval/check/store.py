"""Plays that were made before: an unchanged task is not played again.

A file for each task beside the logs of checks. What a play came to is used again while everything that defines the task
is the same (see :mod:`pytest_agenteval.plan.identity`), and the play, and the rules for outcomes with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_agenteval.check.facts import Played
from pytest_agenteval.check.plays import Level, Play
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.outcomes import Outcome

__all__ = ["PlayStore", "key_of", "mode_of"]

_FORMAT = "2"
"""Increased whenever plays are stored or played in another way."""


class PlayStore:
    """The stored plays below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def known(self, task: str, identity: Mapping[str, str], mode: str) -> dict[str, Played]:
        """The stored plays of a task as it is now, by the digest of name and play; none of a task that has changed.

        Args:
            task: its name.
            identity: digests of everything that defines it.
            mode: how they are played; those that were played in another way are left out.
        """
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(dict[str, Played]).validate_json(self._file(task, identity, mode).read_bytes())
        except (OSError, ValidationError):
            return {}

    def keep(self, task: str, identity: Mapping[str, str], mode: str, plays: Sequence[Played]) -> None:
        """Add plays to those of the task. What the environment has cut short is not kept."""
        from pydantic import TypeAdapter

        sound = [each for each in plays if each.outcome.counts or each.outcome is Outcome.BROKEN]
        if not sound:
            return
        file = self._file(task, identity, mode)
        both = {**self.known(task, identity, mode), **{key_of(each.play): each for each in sound}}
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(TypeAdapter(dict[str, Played]).dump_json(both))
        fresh.replace(file)

    def _file(self, task: str, identity: Mapping[str, str], mode: str) -> Path:
        name = digest(json.dumps([_FORMAT, task, mode, sorted(identity.items())]))
        return self.folder / f"{digest(task)}-{name}.json"


def mode_of(level: Level, *how: str, one_by_one: bool) -> str:
    """How plays are played, as far as stored ones must agree in it; `how` says what else is special."""
    read = "outcomes" if level is Level.QUICK else "states"
    return ", ".join([read, *(["one by one"] if one_by_one else []), *how])


def key_of(play: Play) -> str:
    """What a play is stored by: the solution is played several times, under several names."""
    return f"{play.name} {play.digest}"
