"""With xdist's `-n`: the tests of Docker in one process, for they share a daemon, and every other module in one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
    del os.environ[name]  # the runs that tests make are not of this session

DOCKER = Path(__file__).parent / "docker"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest group begins first."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        together = "docker" if item.path.is_relative_to(DOCKER) else item.path.stem
        item.add_marker(pytest.mark.xdist_group(together))
    items.sort(key=lambda item: not item.path.is_relative_to(DOCKER))
