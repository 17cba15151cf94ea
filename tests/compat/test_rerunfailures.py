from __future__ import annotations

from importlib.metadata import version

import pytest
from support.suite_runs import Run

PLUGIN = ("rerunfailures",)


FORCED = [("--force-reruns=1",)] if int(version("pytest-rerunfailures").split(".")[0]) >= 16 else []


@pytest.mark.parametrize("asked", [("--reruns=2",), *FORCED, ("-o", "reruns=1")])
def test_running_until_it_passes_is_refused(run: Run, pytester: pytest.Pytester, asked: tuple[str, ...]) -> None:
    result = run("async def test_a(attempt): open('ran', 'w')", *asked, plugins=PLUGIN)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--reruns would run failed attempts until they pass*"])
    assert not (pytester.path / "ran").exists()


def test_so_is_the_mark_on_an_agent_task_and_ordinary_tests_keep_it(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import pytest
        TRIES = []
        @pytest.mark.flaky(reruns=2)
        async def test_a(attempt): open("ran", "w")
        @pytest.mark.flaky(reruns=2)
        def test_ordinary(): TRIES.append(1); assert len(TRIES) == 2
        async def test_b(attempt): ...
        """,
        "--k=2",
        plugins=PLUGIN,
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["errors"]) == (2, 1)
    result.stdout.fnmatch_lines(["*the mark flaky would run test_a until it passes*"])
    assert not (pytester.path / "ran").exists()


def test_without_agent_tasks_to_run_reruns_are_fine(run: Run) -> None:
    source = """
        TRIES = []
        def test_ordinary(): TRIES.append(1); assert len(TRIES) == 2
        async def test_a(attempt): ...
    """
    result = run(source, "--reruns=2", model=None, plugins=PLUGIN)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"], outcomes["rerun"]) == (1, 1, 1)
