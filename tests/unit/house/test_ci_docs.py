"""What the recipes of CI say: that it exists, that it is safe, and that they install what they use.

Their commands are run by `tests/plugin/test_ci_recipes.py`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from support.pages import DOCS, ROOT

from pytest_agenteval.options.table import OPTIONS, SWITCHES
from pytest_agenteval.report.github import outputs
from pytest_agenteval.report.markdown import MARKER

PAGES = {
    name: (DOCS / "how-to" / f"{name}.md").read_text("utf-8") for name in ("ci", "ci-github", "ci-gitlab", "ci-jenkins")
}
FILES = {name: (ROOT / name).read_text("utf-8") for name in (".github/actions/verdict/action.yml", "ci/gitlab.yml")}
EVERYTHING = {**PAGES, **FILES}
GITHUB: list[Any] = [
    yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGES["ci-github"], re.MULTILINE | re.DOTALL)
]
ACTION = yaml.safe_load(FILES[".github/actions/verdict/action.yml"])
OWN = {flag for option in OPTIONS for flag in option.flags} | {flag for flag, *_ in SWITCHES}


@pytest.mark.parametrize("name", PAGES)
def test_every_option_of_the_page_exists(name: str) -> None:
    assert set(re.findall(r"(?<![\w-])--(?:agent|k|min|max|junit)[\w-]*", PAGES[name])) - OWN <= {"--junitxml"}


def test_secrets_are_only_where_no_fork_gets_and_nothing_runs_code_with_a_writing_token() -> None:
    workflow = GITHUB[0]
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as true
    attempts, verdict = workflow["jobs"]["attempts"], workflow["jobs"]["verdict"]
    assert "secrets." in str(attempts["steps"]) and "secrets." not in str(verdict)
    assert "head.repo.full_name == github.repository" in attempts["if"]
    assert workflow["permissions"] == {"contents": "read"} and "permissions" not in attempts
    steps = [*verdict["steps"], *ACTION["runs"]["steps"]]
    assert not any("checkout" in step.get("uses", "") or "pytest " in step.get("run", "") for step in steps)


def test_no_script_has_an_expression_which_whoever_names_a_branch_could_write() -> None:
    jobs = [*GITHUB[0]["jobs"].values(), ACTION["runs"], {"steps": GITHUB[1]}]
    scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert len(scripts) >= 7
    assert not any("${{" in script for script in scripts)


def test_actions_of_others_are_named_by_their_commit() -> None:
    used = re.findall(r"uses: (\S+)", PAGES["ci-github"] + FILES[".github/actions/verdict/action.yml"])
    others = {use for use in used if not use.startswith("pytest-agenteval/")}
    assert len(others) == 4
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", use) for use in others)
    commits = dict(use.split("@") for use in others)
    assert len(commits) == len(others)  # one version of each


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_is_used_is_installed(name: str) -> None:
    """Providers need their package, prices and buckets theirs, and so does the HTML page."""
    text = EVERYTHING[name]
    for used, package in (("--agent-model=openai/", r"\bopenai\b"), ("s3://", "s3fs"), ("--agent-html=", r"\[html\]")):
        if used in text and name != "ci":
            assert re.search(rf"(?:pip install|PACKAGES:|default:).*{package}", text), f"{used} needs {package}"


def test_the_names_of_outputs_and_marker_are_right() -> None:
    from pytest_agenteval.judge import GateSettings
    from pytest_agenteval.judge.judgement import judge_run

    assert all(f"`{name}`" in PAGES["ci"] for name in outputs(judge_run([], GateSettings())))
    for text in (PAGES["ci"], *FILES.values()):
        assert MARKER in text
