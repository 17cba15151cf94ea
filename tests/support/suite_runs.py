"""The fixture `run`: a suite of agent tasks under the plugin, in a process of its own, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from support.forked_pytest import forked_pytest

__all__ = ["Run", "run"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """`run(source, *arguments, conftest=..., files={"pkg/test_x.py": ...}, plugins=("xdist",), model=...)`.

    `source` becomes test_suite.py. Of the installed plugins only those named are there. `model=None` asks for nothing:
    an ordinary run of pytest.
    """

    def run(
        source: str | None = None,
        *arguments: str,
        conftest: str | None = None,
        files: Mapping[str, str] | None = None,
        plugins: tuple[str, ...] = (),
        model: str | None = "agenteval/null",
        stdin: str = "",
        timeout: float = 60.0,
    ) -> pytest.RunResult:
        texts = {"conftest.py": conftest, "test_suite.py": source, **(files or {})}
        for name, text in texts.items():
            if text is not None:
                path = pytester.path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(dedent(text), "utf-8")
        loaded = [word for plugin in ("pytest_agenteval.plugin", *plugins) for word in ("-p", plugin)]
        asked = () if model is None else (f"--agent-model={model}", "--agent-sandbox=local")
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "160"}
        return forked_pytest(pytester.path, (*loaded, *asked, *arguments), environment, stdin=stdin, timeout=timeout)

    return run
