from __future__ import annotations

import pytest
from support.suite_runs import Run

PLUGIN = ("anyio",)


def test_marked_tasks_run_once_on_asyncio(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import anyio, asyncio, pytest, sniffio
        pytestmark = pytest.mark.anyio
        @pytest.fixture(scope="module")
        async def shared(): yield asyncio.get_running_loop(); await asyncio.sleep(0)
        @pytest.fixture
        async def local(shared): await anyio.sleep(0); yield shared
        async def test_a(attempt, local):
            open("ran", "a").write("x")
            assert local is asyncio.get_running_loop() and sniffio.current_async_library() == "asyncio"
        def test_sync(attempt, local): ...
        async def test_ordinary(anyio_backend_name):
            await anyio.sleep(0)
            assert sniffio.current_async_library() == anyio_backend_name
        """,
        "--k=2",
        "-rs",
        plugins=PLUGIN,
    )
    assert (pytester.path / "ran").read_text() == "xx"
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 4
    assert outcomes.get("failed", 0) == outcomes.get("errors", 0) == 0
    result.stdout.fnmatch_lines(["SKIPPED*agent task: runs on asyncio, not on trio"])
    assert result.ret == 0


def test_auto_mode(run: Run) -> None:
    run(
        """
        import anyio, asyncio, pytest
        @pytest.fixture(scope="session")
        def anyio_backend(): return "asyncio"
        @pytest.fixture(scope="session")
        async def shared(): yield asyncio.get_running_loop()
        async def test_a(attempt, shared): assert shared is asyncio.get_running_loop()
        async def test_ordinary(): await anyio.sleep(0)
        async def test_b(attempt, shared): assert shared is asyncio.get_running_loop()
        """,
        "--k=2",
        "-o",
        "anyio_mode=auto",
        plugins=PLUGIN,
    ).assert_outcomes(passed=3)
