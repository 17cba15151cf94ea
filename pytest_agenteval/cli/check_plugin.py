"""The pytest plugin of `pytest-agenteval check`: runs both built-in models in one session, and writes a result file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.options.reading import defaults, settings
from pytest_agenteval.options.settings import settings_of
from pytest_agenteval.options.table import SETTINGS
from pytest_agenteval.record.records import to_json

__all__ = ["FILE_VARIABLE", "NULL", "ORACLE"]

FILE_VARIABLE = "PYTEST_AGENTEVAL_CHECK_FILE"
"""The environment variable that names the file."""
ORACLE, NULL = "agenteval/oracle", "agenteval/null"

_KEPT = {"sandbox", "sandbox_default", "concurrency", "env_retries", "log_dir", "unsafe_fixtures"}
"""Settings that apply here too. Other settings in the ini file and `addopts` are meant for runs of real models."""

_WITH_FILES = ("lfplugin", "nfplugin", "stepwiseplugin")
"""pytest's plugins that remember failures: a check must not change what `--lf` runs next."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fix the settings before anything reads them."""
    option = config.option
    for key in set(defaults()).difference(_KEPT):
        setattr(option, f"agenteval_{key}", None)
    option.agenteval_models, option.agenteval_k = [ORACLE, NULL], "1"
    option.maxfail, option.continue_on_collection_errors, option.xmlpath = 0, False, None
    if hasattr(option, "numprocesses"):  # xdist's processes would each know only a part
        option.numprocesses, option.dist, option.tx = None, "no", []
    asked, plain = settings(config), settings_of(defaults(), active=True)  # the ini file may set the first
    attempts = asked.attempts
    config.stash[SETTINGS] = plain._replace(
        agents=plain.agents._replace(models=asked.agents.models),
        attempts=plain.attempts._replace(
            k=attempts.k,
            concurrency=attempts.concurrency,
            env_retries=attempts.env_retries,
            unsafe_fixtures=attempts.unsafe_fixtures,
        ),
        store=plain.store._replace(log_dir=f"{asked.store.log_dir}/check"),
        sandboxes=plain.sandboxes._replace(kind=asked.sandboxes.kind, default=asked.sandboxes.default),
    )
    config.pluginmanager.register(_Notes(Path(os.environ[FILE_VARIABLE])), "pytest_agenteval_check_notes")


class _Notes:
    """What the check needs to know about every task."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._collected: list[dict[str, Any]] = []
        self._records: list[Any] = []
        self._skips: dict[str, str] = {}
        self._troubles: dict[str, str] = {}
        self._done = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Unregister what writes files of its own."""
        manager = session.config.pluginmanager
        for plugin in filter(None, map(manager.get_plugin, _WITH_FILES)):
            manager.unregister(plugin)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Agent tasks of the two models only, because a task that names its own model would spend money."""
        tasks = [item for item in items if isinstance(item, AgentItem)]
        self._collected = [
            {
                "nodeid": item.nodeid,
                "task": item.task_name,
                "model": item.model,
                "solvable": item.options.solvable,
            }
            for item in tasks
        ]
        chosen = [item for item in tasks if item.model in (ORACLE, NULL)]
        config.hook.pytest_deselected(items=_others(items, chosen))
        items[:] = chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the record, or the reason why there is none."""
        record = getattr(report, "agenteval", None)
        if record is not None:
            self._records.append(to_json(record))
        if hasattr(report, "wasxfail"):
            self._skips[report.nodeid] = f"xfail {report.wasxfail}".strip()
        elif report.skipped and record is None:
            self._skips[report.nodeid] = _skip_reason(report)
        elif report.failed and record is None:
            self._troubles[report.nodeid] = f"{report.when}: {_crash(report)}"
        self._done += report.when == "teardown"
        if report.when == "teardown" and sys.stderr.isatty():
            sys.stderr.write(f"\r{self._done} of {len(self._collected)} done\r")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        notes = {
            "collected": self._collected,
            "records": self._records,
            "skips": self._skips,
            "troubles": self._troubles,
        }
        self._file.write_text(json.dumps(notes), "utf-8")


def _others(items: Iterable[pytest.Item], chosen: Iterable[pytest.Item]) -> list[pytest.Item]:
    kept = set(chosen)
    return [item for item in items if item not in kept]


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return str(reason).removeprefix("Skipped: ")


def _crash(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", None) or report.longreprtext)
