"""What a new invocation takes over from the logs: from the run that it resumes, or from all runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.logs.files import log_files, try_attempts, try_headers
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.figures import cost, plural
from pytest_agenteval.record.reuse import Reuse, newest_run, resume, top_up
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog, StoredTask, lent_to

__all__ = ["Takeover", "resumed_as_another"]


@dataclass(frozen=True, slots=True)
class Takeover:
    """The logs to take attempts from; none if the user did not ask for that."""

    logs: tuple[StoredLog, ...] = ()
    run: str | None = None
    """The run to resume."""
    problems: tuple[str, ...] = ()
    """Why logs are left out, one sentence each."""

    @classmethod
    def of(cls, settings: Settings, items: Sequence[AgentItem], identity: RunIdentity) -> Takeover:
        """Find the logs for `--agent-resume` or `--agent-top-up`; `identity` is what the run is called now.

        Raises:
            NotReady: there is no run to resume, or it cannot be resumed with these options.
        """
        if not (settings.store.resume or settings.store.top_up):
            return cls()
        logs, problems = _readable(settings.store.log_dir)
        tasks = [StoredTask(item.nodeid, item.cell, name=item.task_name, perturbed=item.perturbed) for item in items]
        wanted = {task.key for task in tasks}
        newest = newest_run(logs, tasks, identity) if settings.store.resume else None
        run = None if newest is None else newest.run
        if settings.store.resume and (newest is None or _is_another(newest, settings.store.run_id)):
            named = "" if settings.store.run_id is None else f" named {settings.store.run_id}"
            raise NotReady(
                f"--agent-resume finds no run{named} of these tasks in {settings.store.log_dir}: leave it out to begin "
                "one, or give that run's directory with --agent-log-dir"
            )
        if newest is not None:
            problems += resumed_as_another(newest.identity, identity)
        of_use = [log for log in logs if any(task.key in wanted for task in log.tasks)]
        chosen = of_use
        if run is not None:
            own = [log for log in of_use if log.run == run]
            chosen = [*own, *lent_to(own, of_use)]
        most = max((log.k for log in chosen), default=0)
        if settings.attempts.early_stop is not None and most > settings.attempts.k:
            raise NotReady(
                f"--agent-early-stop cannot judge k = {settings.attempts.k}, because the run to resume had k = {most}: "
                f"give --k={most}, or leave --agent-early-stop out"
            )
        read = []
        for log in try_attempts(chosen):
            if isinstance(log, NotReady):
                problems.append(str(log))
            else:
                read.append(log)
        return cls(tuple(read), run, tuple(problems))

    @property
    def other_runs(self) -> list[str]:
        """The runs that attempts are taken from, except the one being resumed."""
        return sorted({log.run for log in self.logs} - {self.run})

    @property
    def _just_killed(self) -> bool:
        """Whether the newest invocation of the run was killed. For older ones, the user was told at the resumption."""
        own = [log for log in self.logs if log.run == self.run]
        newest = max(own, key=lambda log: log.created, default=None)
        return newest is not None and any(log.killed for log in own if log.invocation == newest.invocation)

    def take(self, settings: Settings, tasks: Sequence[StoredTask]) -> Reuse:
        """The attempts of these tasks that need not run again."""
        oldest = ""
        if settings.store.max_age is not None:
            oldest = (datetime.now(UTC) - timedelta(seconds=settings.store.max_age)).isoformat(timespec="milliseconds")
        if self.run is not None:
            return resume(self.logs, self.run, tasks, settings.attempts.k, oldest)
        return top_up(self.logs, tasks, settings.attempts.k, oldest) if self.logs else Reuse({})

    def account(self, reuse: Reuse, wanted: int) -> tuple[str, ...]:
        """What the user should know before the run continues, one sentence each."""
        if not self.logs and not self.problems:
            return ()
        attempts = [attempt for taken in reuse.taken.values() for attempt in taken.attempts]
        rest = [attempt for taken in reuse.taken.values() for attempt in taken.discarded]
        paid = cost(Cost.of(Cost.of_paid(attempt) for attempt in (*attempts, *rest)))
        what = "resumed" if self.run is not None else "topped up"
        there = f"{plural(len(attempts), 'attempt')} of {wanted} are there"
        if len(attempts) > wanted:
            there = f"{len(attempts)} attempts are there, more than the {wanted} that were asked for: all count"
        lines = [f"{what}: {there} ({paid} was paid for them)"]
        if rest:
            one = len(rest) == 1
            begun = f"{plural(len(rest), 'attempt')} that {'was' if one else 'were'} begun and not finished"
            lines.append(f"{begun} {'runs' if one else 'run'} again")
        if self._just_killed:
            lines.append("what attempts in flight had spent when the run was killed is in no log")
        return (*lines, *reuse.refused, *self.problems)


def _is_another(log: StoredLog, wanted: str | None) -> bool:
    return wanted is not None and (log.identity is None or log.identity.run != wanted)


def resumed_as_another(then: RunIdentity | None, now: RunIdentity) -> list[str]:
    """What the user should know about a run that goes on as another one."""
    if then is None:
        return []
    told = []
    if now.named and then.run != now.run:
        told.append(f"the run that goes on is {then.run}, and this one is {now.run}")
    if None not in (then.commit, now.commit) and then.commit != now.commit:
        told.append(f"the run that goes on was of commit {then.code}, and this one is of {now.code}")
    return told


def _readable(place: str) -> tuple[list[StoredLog], list[str]]:
    """The headers of our logs, and why others cannot be read: a damaged log must not prevent the use of the rest."""
    logs: list[StoredLog] = []
    problems = []
    try:
        files = log_files(place)
    except NotReady:
        files = []
    for log in try_headers(files):
        if isinstance(log, NotReady):
            problems.append(str(log))
        else:
            logs.append(log)
    return logs, problems
