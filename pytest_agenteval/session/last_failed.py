"""What `--lf`, `--ff` and `--sw` remember about agent tasks.

pytest sees an undecided task as a skip, and its plugins forget a failed test that is skipped. The next `--lf` would
leave out exactly the task that needs to run again. So what was not measured is remembered as if it had failed.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_agenteval.record.records import TaskRecord

__all__ = ["LastFailed"]

_LAST_FAILED, _STEPWISE = "lfplugin", "stepwiseplugin"
"""The names of pytest's plugins."""


class LastFailed:
    """Tells pytest's plugins that remember failures what a report of an agent task means to them."""

    def __init__(self, config: pytest.Config) -> None:
        self._manager = config.pluginmanager

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, Any, Any]:
        """After they have heard of it as of a skip."""
        record: TaskRecord | None = getattr(report, "agenteval", None)
        if record is None or not report.skipped or hasattr(report, "wasxfail"):
            return (yield)
        undecided = bool(getattr(report, "agenteval_undecided", False))
        names = [_LAST_FAILED, _STEPWISE] if undecided else [_LAST_FAILED] * self._known(report, record)
        result = yield
        failed = copy.copy(report)
        failed.outcome = "failed"
        for plugin in filter(None, map(self._manager.get_plugin, names)):
            plugin.pytest_runtest_logreport(report=failed)
        return result

    def _known(self, report: pytest.TestReport, record: TaskRecord) -> bool:
        """Whether it had failed before, and nothing of it ran now: every verdict was fixed without it."""
        remembered = getattr(self._manager.get_plugin(_LAST_FAILED), "lastfailed", {})
        return record.not_needed and report.nodeid in {str(node) for node in remembered}
