"""What the pump asks of whoever runs attempts, and what it gets back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.run.output import Capture

__all__ = ["Engine", "Finished"]


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt, or one try of it, that has come to its end."""

    record: AttemptRecord
    error: BaseException | None = None
    """The live exception behind it, for pytest's own report."""
    capture: Capture | None = None
    """What its body wrote; None where no body ever ran."""


class Engine(Protocol):
    """Runs attempts. It knows nothing about pytest's protocol; the pump knows nothing about models and sandboxes."""

    def submit(self, item: AgentItem, shared: dict[str, Any]) -> list[asyncio.Future[Finished]]:
        """Accept the k attempts of a task; must be called on the running loop. Returns one future each, in order."""

    def feed(self) -> None:
        """Start attempts of the accepted tasks; must be called on the running loop, after the last of several tasks."""

    def identity(self, item: AgentItem) -> StoredTask | None:
        """The task as it is now, by what defines it; None if pytest skips it."""

    def network(self, item: AgentItem) -> str | None:
        """The network of its sandbox, `none` or `bridge`; None if unknown, or it has no container."""

    def kept(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """The attempts of earlier invocations that a task need not run again."""

    def discarded(self, item: AgentItem) -> Sequence[AttemptRecord]:
        """Attempts that earlier invocations began at a task and did not finish in a way that counts."""

    def withdraw(self, item: AgentItem) -> None:
        """The task will not be submitted, because pytest did not set it up."""

    def note_error(self, item: AgentItem, text: str) -> None:
        """Record an error that pytest met around the attempts at a task, for example in a shared fixture's teardown."""

    def set_aside(self, item: AgentItem, why: str) -> None:
        """pytest skipped the task or could not set it up: where no attempt ran, it is not judged.

        `why` is empty where an error is noted as well.
        """

    async def close(self, *, cancel: bool) -> None:
        """End the evaluation. `cancel` stops attempts in flight and tears down their fixtures; else none is left."""

    @property
    def problems(self) -> Sequence[str]:
        """What went wrong with the evaluation, so that it did less than it was asked to do; one sentence each."""

    @property
    def notes(self) -> Sequence[str]:
        """What a reader should know of the evaluation, though it did all it was asked to do; one sentence each."""

    @property
    def stopped_by(self) -> BaseException | None:
        """The exception with which a body stopped the whole session (`pytest.exit`), or None."""
