"""A run says what it is called in its logs and its JSON report, and `report` says the same of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main
from pytest_agenteval.engine.logs.files import log_files, read_headers

SUITE = "async def test_a(attempt):\n    attempt.agent_begins()\n"
SHA = "0123456789abcdef0123456789abcdef01234567"


def identity_in(file: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(file).read_text("utf-8"))["run"]["identity"]
    return found


def test_the_ci_run_is_named_in_logs_and_reports(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CI_PIPELINE_ID": "77", "CI_COMMIT_SHA": SHA, "CI_COMMIT_REF_NAME": "main"}.items():
        monkeypatch.setenv(name, value)
    result = run(SUITE, "--agent-shard=1/1", "--agent-json=live.json", "--agent-log-dir=logs")
    assert result.ret == 0
    [log] = read_headers(log_files("logs"))
    assert log.identity is not None
    assert (log.identity.run, log.identity.commit, log.identity.shard) == ("gitlab-77", SHA, (1, 1))
    main(["report", "logs", "--agent-json=stored.json"])
    live = identity_in("live.json")
    assert live == identity_in("stored.json")
    assert live == {"run": "gitlab-77", "named": True, "commit": SHA, "ref": "main", "dirty": None, "address": None,
                    "shard": [1, 1]}  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["one process", "xdist"])
def test_without_a_name_each_run_has_its_own(run: Run, workers: tuple[str, ...]) -> None:
    names = []
    for each in ("one", "two"):
        result = run(SUITE, f"--agent-json={each}.json", f"--agent-log-dir={each}", *workers, plugins=("xdist",))
        assert result.ret == 0
        [log] = read_headers(log_files(each))
        assert log.identity is not None
        assert identity_in(f"{each}.json")["run"] == log.identity.run == log.run
        names.append(log.run)
    assert names[0] != names[1]
