from __future__ import annotations

import json

import pytest
from support.suite_runs import Run

XDIST = ("xdist",)


def test_workers_evaluate_and_the_controller_judges(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import agent_task
        @pytest.mark.parametrize("n", range(3))
        async def test_a(attempt, n):
            attempt.agent_begins()
            open("ran", "a").write(f"{n} ")
            assert [attempt.number, 1] == [attempt.number, 1 + (n == 2)]
        @agent_task(min_pass_rate=0)
        async def test_b(attempt): attempt.agent_begins(); assert attempt.number == 1
        async def test_c(attempt): attempt.agent_begins(); open("ran", "a").write("c "); pytest.skip("too late")
        def test_ordinary(): ...
        """,
        "--k=2",
        "-n2",
        "-v",
        plugins=XDIST,
    )
    result.assert_outcomes(passed=3, failed=2)
    assert sorted((pytester.path / "ran").read_text().split()) == sorted(["0", "1", "2", "c"] * 2)
    result.stdout.fnmatch_lines_random(
        [
            "*PASSED 2/2 *test_a[[]0]*",
            "*FAILED 0/2 *test_a[[]2]*",
            "*MEASURED 1/2 *test_b*",
            "*At index 1 diff: 1 != 2*",
        ]
    )
    result.stdout.fnmatch_lines(["test_a[[]0] * 2/2 * PASS*", "*broken: test_suite.py::test_c attempts 1-2"])
    assert result.ret == 1


def test_gates_are_judged_on_what_workers_sent(run: Run) -> None:
    """Seven of eight attempts pass, three of four tasks pass both."""
    source = """
        import pytest
        @pytest.mark.parametrize("n", range(4))
        async def test_a(attempt, n): attempt.agent_begins(); assert (n, attempt.number) != (3, 1)
    """
    result = run(source, "--k=2", "-n1", "--min-pass-at-1=0.875", "--min-pass-k=0.76", plugins=XDIST)
    result.stdout.fnmatch_lines_random(["PASS *--min-pass-at-1:*0.875*", "FAIL *--min-pass-k:*0.75*"])
    assert result.ret == 1


def test_what_cannot_hold_over_processes_is_a_usage_error(run: Run) -> None:
    result = run("async def test_a(agent): ...", "-n2", "--max-cost=1", plugins=XDIST)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--max-cost*-n*"])
    result = run("async def test_a(agent): ...", "-n2", model="no-such-provider/model", plugins=XDIST)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*no-such-provider*"])


def test_a_run_that_is_stopped_is_judged_over_every_task_once(run: Run, pytester: pytest.Pytester) -> None:
    """Workers are stopped after a failure; which tasks they had begun by then depends on them."""
    result = run(
        """
        import pytest
        async def test_fails(attempt): attempt.agent_begins(); assert 0
        @pytest.mark.parametrize("n", range(20))
        async def test_a(attempt, n): ...
        @pytest.mark.skip(reason="not now")
        async def test_skipped(attempt): ...
        """,
        "--k=2",
        "-n2",
        "-x",
        "--agent-json=live.json",
        plugins=XDIST,
    )
    assert result.ret == 2  # xdist's own for -x
    tasks = json.loads((pytester.path / "live.json").read_text("utf-8"))["tasks"]
    names = [task["task"].split("::")[1] for task in tasks]
    assert sorted(names) == sorted(["test_fails", *(f"test_a[{n}]" for n in range(20))])
    assert all(task["n"] + len(task["missing_attempts"]) == 2 for task in tasks)
    assert 0 < sum(task["n"] == 0 for task in tasks) < 20


def test_sigterm_ends_the_attempts_of_all_workers(run: Run, pytester: pytest.Pytester) -> None:
    """It is sent to the controller alone, as an orchestrator does, when both workers have told it of themselves."""
    conftest = """
        import os
        NODES = set()
        def pytest_runtest_logreport(report):
            NODES.add(getattr(report, "node", None))
            if len(NODES) == 2:
                with open("new", "w") as file: file.write(str(os.getpid()))
                os.rename("new", "known")
    """
    source = """
        import asyncio, os, signal
        import pytest
        @pytest.mark.parametrize("n", range(2))
        async def test_a(attempt, n):
            attempt.agent_begins()
            while not os.path.exists("known"): await asyncio.sleep(0.01)
            if n: os.kill(int(open("known").read()), signal.SIGTERM)
            try: await asyncio.sleep(3600)
            finally: open(f"down-{n}", "w").close()
    """
    result = run(source, "-n2", "--agent-json=live.json", conftest=conftest, plugins=XDIST)
    assert result.ret == 143
    assert sorted(path.name for path in pytester.path.glob("down-*")) == ["down-0", "down-1"]
    live = json.loads((pytester.path / "live.json").read_text("utf-8"))
    assert live["run"]["exit_status"]["code"] == 143
    assert [task["n"] for task in live["tasks"]] == [0, 0]
