"""What a run is called: by its option, by the CI system, or by itself; and what git says of the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_agenteval.options.reading import defaults
from pytest_agenteval.options.settings import Settings, settings_of
from pytest_agenteval.plan.run_identity import run_identity
from pytest_agenteval.record.run_identity import RunIdentity

SHA = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {
    "GITHUB_RUN_ID": "1658821493", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_SHA": SHA, "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "feature", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "us/agents",
}  # fmt: skip
GITLAB = {
    "CI_PIPELINE_ID": "77", "CI_COMMIT_SHA": SHA, "CI_COMMIT_REF_NAME": "main",
    "CI_PIPELINE_URL": "https://gitlab.com/us/agents/-/pipelines/77", "CI_JOB_ID": "5",
}  # fmt: skip
JENKINS = {
    "BUILD_TAG": "jenkins-agents-12", "JOB_NAME": "agents", "BUILD_NUMBER": "12", "GIT_COMMIT": SHA,
    "GIT_BRANCH": "origin/main", "BUILD_URL": "https://ci.example/job/agents/12/",
}  # fmt: skip


def asked(**given: object) -> Settings:
    return settings_of(defaults() | given, active=True)


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("variables", "run", "ref", "address"),
    [
        (GITHUB, "github-1658821493-2", "feature", "https://github.com/us/agents/actions/runs/1658821493/attempts/2"),
        (GITHUB | {"GITHUB_HEAD_REF": ""}, "github-1658821493-2", "7/merge",
         "https://github.com/us/agents/actions/runs/1658821493/attempts/2"),
        (GITLAB, "gitlab-77", "main", "https://gitlab.com/us/agents/-/pipelines/77"),
        (GITLAB | {"CI_JOB_ID": "6"}, "gitlab-77", "main", "https://gitlab.com/us/agents/-/pipelines/77"),
        (JENKINS, "jenkins-agents-12", "origin/main", "https://ci.example/job/agents/12/"),
        ({k: v for k, v in JENKINS.items() if k != "BUILD_TAG"}, "jenkins-agents-12", "origin/main",
         "https://ci.example/job/agents/12/"),
    ],
)  # fmt: skip
def test_a_ci_system_names_its_run(variables: dict[str, str], run: str, ref: str, address: str, tmp_path: Path) -> None:
    assert run_identity(asked(), tmp_path, variables, "own") == RunIdentity(
        run, named=True, commit=SHA, ref=ref, dirty=None, address=address
    )


def test_the_option_wins_and_without_any_name_the_run_has_its_own(tmp_path: Path) -> None:
    named = run_identity(asked(run_id="nightly-3", shard=(2, 3)), tmp_path, GITHUB, "own")
    assert (named.run, named.named, named.shard, named.commit) == ("nightly-3", True, (2, 3), SHA)
    assert run_identity(asked(), tmp_path, {}, "own") == RunIdentity("own")


def test_git_tells_the_commit_the_branch_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "topic")
    assert run_identity(asked(), tmp_path, {}, "own").commit is None
    tracked = tmp_path / "test_a.py"
    tracked.write_text("one\n", "utf-8")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "a.log").write_text("untracked\n", "utf-8")
    clean = run_identity(asked(), tmp_path, {}, "own")
    assert clean == RunIdentity("own", commit=commit, ref="topic", dirty=False)
    tracked.write_text("two\n", "utf-8")
    changed = run_identity(asked(), tmp_path, {}, "own")
    assert (changed.dirty, changed.code) == (True, f"{commit[:12]} with changes")
    git(tmp_path, "checkout", "-q", "--detach")
    assert run_identity(asked(), tmp_path, {}, "own").ref is None


def test_a_checkout_of_another_commit_says_nothing_of_the_ci_systems_one(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "one")
    found = run_identity(asked(), tmp_path, GITHUB, "own")
    assert (found.commit, found.dirty) == (SHA, None)


def test_without_git_nothing_is_known_and_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_identity(asked(), tmp_path, {}, "own") == RunIdentity("own")
