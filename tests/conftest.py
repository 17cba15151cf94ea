"""What the tests' own processes need: no traces of this session, a Ctrl-C that works, and a place for each module.

With xdist's `-n 2` Docker's tests run in one process, one after the other, and so does every other module.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
    del os.environ[name]  # the runs that tests make are not of this session
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts these tests in the background has them ignore Ctrl-C, and all that they start with them
    signal.signal(signal.SIGINT, signal.default_int_handler)

DOCKER = Path(__file__).parent / "docker"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest part begins first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.path.is_relative_to(DOCKER))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Docker's tests share a daemon: some of them remove what others may just be looking for."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.split("::")[0]
            return "docker" if module.startswith("tests/docker/") else module

    return ByModule(config, log)
