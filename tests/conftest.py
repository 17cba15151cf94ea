"""For xdist's `-n 2 --dist loadfile`: the slowest modules begin first, and runs that tests make know nothing of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
    del os.environ[name]

DOCKER = Path(__file__).parent / "docker"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those of Docker first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.path.is_relative_to(DOCKER))
