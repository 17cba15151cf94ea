"""What a run writes stays in proportion to its logs, however many attempts it has."""

from __future__ import annotations

import json
import sys

import pytest
from support.suite_runs import Run

ATTEMPTS = 300
CONFTEST = """
import json

def written():
    with open("/proc/self/io") as told:
        return dict(line.split(": ") for line in told)["wchar"]

def pytest_sessionstart(session):
    session.before = int(written())

def pytest_sessionfinish(session):
    with open("written.json", "w") as file:
        json.dump(int(written()) - session.before, file)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts what a process writes")
def test_bytes_written_are_in_proportion_to_the_logs(run: Run, pytester: pytest.Pytester) -> None:
    """Every attempt into its log at once would be 150 times the log; five times is what its own writes come to."""
    source = "async def test_a(attempt): attempt.agent_begins()\n"
    assert run(source, f"--k={ATTEMPTS}", "--agent-log-dir=logs", conftest=CONFTEST).ret == 0
    (log,) = (pytester.path / "logs").glob("*.eval")
    assert json.loads((pytester.path / "written.json").read_text("utf-8")) <= 10 * log.stat().st_size
    assert [path.name for path in log.parent.iterdir() if path.name.endswith(".journal")] == []
