from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from pytest_agenteval.options.table import OPTIONS, SWITCHES
from pytest_agenteval.report.github import outputs
from pytest_agenteval.report.markdown import MARKER

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "ci.md").read_text("utf-8")
FILES: list[dict[Any, Any]] = [
    yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]
OWN = {flag for option in OPTIONS for flag in option.flags} | {flag for flag, *_ in SWITCHES}


def test_every_option_of_the_page_exists() -> None:
    used = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", PAGE))
    assert used - OWN == {"--junitxml"}
    assert {"--agent-shard", "--agent-json", "--agent-comment", "--agent-html"} <= used


def test_the_jobs_are_those_that_the_page_speaks_of() -> None:
    _, github, gitlab = FILES
    assert list(github["jobs"]) == ["attempts", "verdict"]
    assert list(gitlab) == ["attempts", "verdict"]
    shards = github["jobs"]["attempts"]["strategy"]["matrix"]["shard"]
    assert shards == [1, 2, 3]
    assert f"/{len(shards)} " in str(github["jobs"]["attempts"]["steps"])


def test_secrets_are_only_where_no_fork_gets_and_nothing_runs_code_with_a_writing_token() -> None:
    simple, github, _ = FILES
    for workflow in (simple, github):
        assert "pull_request_target" not in workflow[True]  # YAML reads `on` as true
    assert "secrets." in str(simple) and "head.repo.full_name == github.repository" in simple["jobs"]["evaluate"]["if"]
    attempts, verdict = github["jobs"]["attempts"], github["jobs"]["verdict"]
    assert "secrets." in str(attempts["steps"]) and "secrets." not in str(verdict)
    assert "head.repo.full_name == github.repository" in attempts["if"]
    assert github["permissions"] == {"contents": "read"} and "permissions" not in attempts
    assert not any("checkout" in step.get("uses", "") or "pytest " in step.get("run", "") for step in verdict["steps"])


def test_the_names_of_outputs_and_marker_are_right() -> None:
    from pytest_agenteval.judge import GateSettings
    from pytest_agenteval.judge.judgement import judge_run

    assert all(f"`{name}`" in PAGE for name in outputs(judge_run([], GateSettings())))
    assert f"const marker = '{MARKER}'" in PAGE
