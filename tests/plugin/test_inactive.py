from __future__ import annotations

import os
import subprocess
import sys

import pytest
from support.suite_runs import Run


def test_agent_tasks_are_skipped_until_something_asks_for_them(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        @pytest.fixture(scope="session")
        def costly(): open("ran", "w")
        @pytest.fixture
        def agent(): return "lookalike"
        async def test_task(attempt, costly): open("ran", "w")
        async def test_uses_monkeypatch(sandbox, monkeypatch): open("ran", "w")
        def test_lookalike(agent, monkeypatch): assert agent == "lookalike"
        def test_ordinary(): ...
    """
    result = run(source, "-rs", model=None)
    result.assert_outcomes(skipped=2, passed=2)
    result.stdout.fnmatch_lines(["SKIPPED [[]2]*agent task: runs only with --agent-model, --k or --agent-run"])
    result.stdout.no_fnmatch_line("*agent evaluation*")
    assert not (pytester.path / "ran").exists()
    assert not (pytester.path / "logs").exists()
    assert result.ret == 0
    (pytester.path / "pytest.ini").write_text("[pytest]\nagent_models = agenteval/null\nagent_sandbox = local\n")
    run(source, model=None).assert_outcomes(skipped=2, passed=2)
    result = run(source, "--agent-run", "-k", "test_task or test_lookalike", model=None)
    result.assert_outcomes(passed=2, deselected=2)


def test_an_ordinary_run_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    """In a process of its own, for the other tests fork from one that has imported Inspect."""
    pytester.makepyfile(
        """
        import sys
        def test_plain(): ...
        def test_lookalike_free(tmp_path): ...
        def test_modules():
            heavy = ("asyncio", "inspect_ai", "numpy", "docker", "pydantic", "anyio", "httpx", "yaml", "rich")
            assert [name for name in heavy if name in sys.modules] == []
        """
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for arguments in ((), ("--collect-only",)):
        result = subprocess.run(
            (sys.executable, "-m", "pytest", "-p", "pytest_agenteval.plugin", *arguments),
            cwd=pytester.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout


def test_the_public_names_load_when_they_are_used() -> None:
    code = """if True:
        import sys, pytest_agenteval
        assert "inspect_ai" not in sys.modules and "asyncio" not in sys.modules
        assert dir(pytest_agenteval) == sorted(pytest_agenteval.__all__)
        for name in pytest_agenteval.__all__: getattr(pytest_agenteval, name)
        from inspect_ai.util import SandboxEnvironment
        assert pytest_agenteval.Sandbox is SandboxEnvironment
        try: pytest_agenteval.nothing
        except AttributeError: pass
        else: raise AssertionError
    """
    result = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_active_run_without_agent_tasks_is_an_ordinary_run(run: Run) -> None:
    result = run("def test_a(): ...\ndef test_b(monkeypatch): ...", "--k=3")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
