"""What a run is called: by the user, by the CI system that runs it, or by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_agenteval.options.settings import Settings
from pytest_agenteval.plan.checkout import checkout
from pytest_agenteval.record.run_identity import RunIdentity

__all__ = ["run_identity"]


def run_identity(asked: Settings, root: Path, environment: Mapping[str, str], unnamed: str) -> RunIdentity:
    """The identity of the run that begins now.

    Args:
        asked: the settings.
        root: a folder in the checkout.
        environment: the variables of the process.
        unnamed: what the run is called where nobody names it: unique, so that no other run is merged with it.
    """
    ci, here = _ci(environment), checkout(root)
    given = asked.store.run_id
    told = RunIdentity(
        run=given or ci.run or unnamed,
        named=bool(given or ci.run),
        commit=ci.commit or here.commit,
        ref=ci.ref or here.branch,
        dirty=here.dirty,
        address=ci.address,
        shard=asked.attempts.shard,
    )
    # a checkout of something else than what the CI system runs for says nothing about that
    return replace(told, dirty=None) if here.commit not in (None, told.commit) else told


@dataclass(frozen=True, slots=True)
class _CiRun:
    """What a CI system says of its run. None means that it does not say."""

    run: str | None = None
    commit: str | None = None
    ref: str | None = None
    address: str | None = None


def _ci(environment: Mapping[str, str]) -> _CiRun:
    said = {name: value for name, value in environment.items() if value}
    for system in (_github, _gitlab, _jenkins):
        if (found := system(said)) is not None:
            return found
    return _CiRun()


def _github(said: Mapping[str, str]) -> _CiRun | None:
    """A run that is started again is another attempt, and another run here."""
    if (number := said.get("GITHUB_RUN_ID")) is None:
        return None
    attempt = said.get("GITHUB_RUN_ATTEMPT", "1")
    place = [said.get("GITHUB_SERVER_URL"), said.get("GITHUB_REPOSITORY")]
    return _CiRun(
        f"github-{number}-{attempt}",
        said.get("GITHUB_SHA"),
        said.get("GITHUB_HEAD_REF") or said.get("GITHUB_REF_NAME"),  # of a pull request, its branch
        None if None in place else "/".join([*map(str, place), "actions/runs", number, "attempts", attempt]),
    )


def _gitlab(said: Mapping[str, str]) -> _CiRun | None:
    """Jobs that are started again stay in their pipeline."""
    if (number := said.get("CI_PIPELINE_ID")) is None:
        return None
    return _CiRun(
        f"gitlab-{number}", said.get("CI_COMMIT_SHA"), said.get("CI_COMMIT_REF_NAME"), said.get("CI_PIPELINE_URL")
    )


def _jenkins(said: Mapping[str, str]) -> _CiRun | None:
    if (name := said.get("BUILD_TAG")) is None:
        if "JOB_NAME" not in said or "BUILD_NUMBER" not in said:
            return None
        name = f"jenkins-{said['JOB_NAME']}-{said['BUILD_NUMBER']}"
    branch = said.get("CHANGE_BRANCH") or said.get("BRANCH_NAME") or said.get("GIT_BRANCH")
    return _CiRun(name, said.get("GIT_COMMIT"), branch, said.get("BUILD_URL"))
