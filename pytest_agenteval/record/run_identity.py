"""What a run is called on every machine that runs a part of it, and what it was a run of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RunIdentity"]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """One run, however many shards, machines and invocations it has. None means unknown."""

    run: str
    """Its name: `--agent-run-id`, the CI run with its attempt, or one that no other run has."""
    named: bool = False
    """Whether the user or the CI system named it, so that its shards on other machines have the same name."""
    commit: str | None = None
    """The commit that was checked out, in full."""
    ref: str | None = None
    """The branch or tag."""
    dirty: bool | None = None
    """Whether files that git tracks differed from the commit."""
    address: str | None = None
    """Where the CI system shows the run."""
    shard: tuple[int, int] | None = None
    """(part, number of parts), counted from 1; None for a whole run, also for one that was merged from its shards."""

    @property
    def code(self) -> str | None:
        """The commit in short, marked where the checkout differed from it."""
        if self.commit is None:
            return None
        return self.commit[:12] + (" with changes" if self.dirty else "")
