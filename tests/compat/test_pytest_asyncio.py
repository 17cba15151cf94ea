from __future__ import annotations

import pytest
from support.suite_runs import Run

PLUGIN = ("pytest_asyncio.plugin",)  # its entry point is named asyncio, as is a module that is long imported
SUITE = """
    import asyncio, pytest, pytest_asyncio
    LOOPS = []
    @pytest_asyncio.fixture
    async def local(): yield asyncio.get_running_loop()
    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def shared(): yield asyncio.get_running_loop(); await asyncio.sleep(0)
    @pytest.fixture(scope="session")
    async def plain(): yield asyncio.get_running_loop(); await asyncio.sleep(0)
    async def test_a(attempt, local, shared, plain):
        LOOPS.append(asyncio.get_running_loop())
        assert local is shared is plain is asyncio.get_running_loop()
    def test_sync(attempt, local, shared):
        async def loop(): return asyncio.get_running_loop()
        assert local is shared is attempt.wait(loop())
    @pytest.mark.asyncio
    async def test_marked(attempt, local): assert local is asyncio.get_running_loop()
    @pytest.mark.asyncio
    async def test_ordinary(tmp_path):
        await asyncio.sleep(0)
        assert len(set(LOOPS)) == 1 and LOOPS[0] is not asyncio.get_running_loop()
    async def test_again(attempt): assert LOOPS[0] is asyncio.get_running_loop()
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_agent_tasks_keep_to_one_loop_and_ordinary_tests_to_their_own(run: Run, mode: str) -> None:
    ini = "asyncio_default_fixture_loop_scope=function"
    arguments = ("--k=2", f"--asyncio-mode={mode}", "-o", ini, "-W", "error")
    run(SUITE, *arguments, plugins=PLUGIN).assert_outcomes(passed=5)


def test_unasked_tasks_are_skipped_and_ordinary_tests_run(run: Run) -> None:
    source = """
        import pytest
        async def test_a(attempt): ...
        async def test_ordinary(): assert 1
    """
    run(source, "--asyncio-mode=auto", model=None, plugins=PLUGIN).assert_outcomes(skipped=1, passed=1)
