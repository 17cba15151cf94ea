"""Logs that an earlier version wrote are read as that version read them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main

STORED = Path(__file__).parents[1] / "data" / "old_logs"
BOTH = ("--agent-model=agenteval/oracle", "--k=4")


@pytest.fixture
def stored(pytester: pytest.Pytester) -> Path:
    """A folder with the suite and the logs, as the user of the earlier version left it."""
    shutil.copytree(STORED, pytester.path, dirs_exist_ok=True)
    (pytester.path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    return pytester.path


def changed(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Where the new report is not what the old one was; it may say more."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            yield from changed(value, new.get(key, "nothing"), f"{place}/{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, now) in enumerate(zip(old, new, strict=True)):
            yield from changed(before, now, f"{place}[{index}]")
    elif old != new:
        yield f"{place}: {old} became {new}"


def test_the_report_has_the_same_figures(stored: Path) -> None:
    assert main(["report", "logs", "--agent-json=new.json"]) == 1
    old, new = (json.loads((stored / name).read_text("utf-8")) for name in ("report.json", "new.json"))
    outcomes = {attempt["outcome"] for task in old["tasks"] for attempt in task["attempts"]}
    assert outcomes == {"passed", "failed", "limit", "broken", "skipped"}  # so that figures of each are compared
    assert list(changed(old, new)) == []


def test_they_have_a_profile(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "logs", "--agent-profile", "--agent-json=new.json"]) == 1
    assert "Reliability profile" in capsys.readouterr().out
    (cell, *_) = json.loads((stored / "new.json").read_text("utf-8"))["cells"]
    assert cell["profile"]["consistency"]["outcome"]["value"] is not None
    assert cell["profile"]["predictability"]["attempts_without_number"] == cell["attempts"]


def test_a_run_is_held_against_them(run: Run, stored: Path) -> None:
    result = run(None, *BOTH, "--agent-baseline=logs", "--agent-log-dir=new", model="agenteval/noisy")
    said = " ".join(result.stdout.str().split())
    for model, rate in (("oracle", "0.750"), ("noisy", "0.688")):  # 12 and 11 of 16, the broken attempts apart
        assert f"PASS --agent-baseline [agenteval/{model}]: pass@1 of 4 compared tasks went from {rate} to " in said
    assert "the test changed" not in said


def test_resuming_says_why_none_of_them_counts_any_more(run: Run, stored: Path) -> None:
    result = run(None, *BOTH, "--agent-resume", "--agent-log-dir=logs", model="agenteval/noisy")
    result.stdout.fnmatch_lines(["resumed: 0 attempts of 40 are there*"])
    assert re.search(r"\d+ attempts not reused: .*the rules for outcomes have changed", result.stdout.str())
