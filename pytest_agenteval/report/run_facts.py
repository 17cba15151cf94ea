"""Which run a report is about: its code, its name, its date, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pytest_agenteval.judge.judgement import Judgement

__all__ = ["files_address", "run_facts"]


def run_facts(judgement: Judgement) -> list[str]:
    """The commit and branch, the name of the run, its shard where it is one alone, and when its last attempt ended.

    What is unknown is left out. The date is in UTC.
    """
    facts = []
    identity = judgement.identity
    if identity is not None:
        where = f" on {identity.ref}" if identity.ref is not None else ""
        facts += [f"commit {identity.code}{where}"] if identity.code is not None else []
        facts += [f"run {identity.run}"] if identity.named else []
        facts += [f"shard {identity.shard[0]} of {identity.shard[1]}"] if identity.shard is not None else []
    ends = [attempt.ended for record in judgement.records for attempt in record.attempts if attempt.ended]
    if ends:
        last = max(datetime.fromisoformat(end).astimezone(UTC) for end in ends)
        facts.append(f"{last:%Y-%m-%d %H:%M} UTC")
    return facts


def files_address(environment: Mapping[str, str]) -> str | None:
    """Where the CI system shows the files that this job keeps; None if it does not say, or if there is none."""
    said = {name: value for name, value in environment.items() if value}
    if said.keys() >= {"GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"}:
        run = f"{said['GITHUB_REPOSITORY']}/actions/runs/{said['GITHUB_RUN_ID']}"
        return f"{said['GITHUB_SERVER_URL']}/{run}#artifacts"
    if "CI_JOB_URL" in said:
        return f"{said['CI_JOB_URL']}/artifacts/browse"
    return f"{said['BUILD_URL']}artifact/" if "BUILD_URL" in said and "JENKINS_URL" in said else None
