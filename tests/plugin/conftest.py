from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.chromium import Chromium
from support.suite_runs import run

__all__ = ["run"]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    try:
        browser = Chromium(tmp_path_factory.mktemp("browser"))
    except FileNotFoundError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))
    with browser:
        yield browser
