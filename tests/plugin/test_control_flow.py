from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest
from support.suite_runs import Run

RESOURCES = """
    import asyncio, pytest
    from pytest_agenteval import agent_task
    def log(name): open(name, "a").write("x")
    @pytest.fixture(scope="session")
    async def server(): yield asyncio.get_running_loop(); await asyncio.sleep(0.01); log("server-down")
    @pytest.fixture
    async def inner(): log("up"); yield; await asyncio.sleep(0.05); log("down")
    @pytest.fixture
    def plain(inner): yield; log("plain-down")
"""


def count(pytester: pytest.Pytester, name: str) -> int:
    path = pytester.path / name
    return len(path.read_text()) if path.exists() else 0


def test_exitfirst_cancels_what_is_in_flight_and_tears_it_down(run: Run, pytester: pytest.Pytester) -> None:
    started = time.monotonic()
    result = run(
        RESOURCES
        + """
    GO = asyncio.Event()
    UP = []
    async def test_a(attempt):
        attempt.agent_begins()
        await GO.wait()
        assert attempt.number != 2
    async def hang(attempt):
        UP.append(attempt)
        if len(UP) == 9: GO.set()
        await asyncio.sleep(60)
    async def test_b(attempt, plain, server): await hang(attempt)
    def test_c(attempt, plain, server): attempt.wait(hang(attempt))
    async def test_d(agent, plain, server, attempt): await hang(attempt)
    """,
        "--k=3",
        "-x",
    )
    assert time.monotonic() - started < 30
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*2 of 3 attempts passed*", "*stopping after 1 failures*"])
    assert [count(pytester, name) for name in ("up", "down", "plain-down", "server-down")] == [9, 9, 9, 1]
    assert result.ret == 1


def test_maxfail_counts_tasks(run: Run) -> None:
    result = run(
        """
        async def test_a(attempt): attempt.agent_begins(); assert 0
        async def test_b(attempt): ...
        async def test_c(attempt): attempt.agent_begins(); assert 0
        async def test_d(attempt): ...
        """,
        "--k=3",
        "--maxfail=2",
    )
    result.assert_outcomes(failed=2, passed=1)


def test_work_done_before_a_stop_is_still_reported(run: Run) -> None:
    """An ordinary failure between tasks ends the session; attempts that have ended by then were paid for."""
    result = run(
        """
        async def test_a(attempt): ...
        async def test_b(attempt): ...
        def test_ordinary(): assert 0
        async def test_c(attempt): ...
        """,
        "--k=2",
        "-x",
        conftest="""
        import pytest
        def pytest_runtest_setup(item):
            if item.name == "test_b" and item.reached: pytest.skip("armed, and then not wanted")
        def pytest_runtest_protocol(item, nextitem): item.reached = True
        def pytest_itemcollected(item): item.reached = False
        """,
    )
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["test_a * 2/2 *", "test_b * 2/2 *"])


def test_ctrl_c_tears_every_attempt_down(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        RESOURCES
        + """
    async def test_b(attempt, plain, server): await asyncio.sleep(60)
    async def test_c(attempt, plain, server): await asyncio.sleep(60)
    """
    )
    command = (sys.executable, "-m", "pytest", "-p", "pytest_agenteval.plugin", "--k=2", "-p", "no:cacheprovider")
    process = subprocess.Popen(
        (*command, "--agent-model=agenteval/null", "--agent-sandbox=local"),
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while count(pytester, "up") < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 2, out
    assert "KeyboardInterrupt" in out
    assert [count(pytester, name) for name in ("up", "down", "plain-down", "server-down")] == [4, 4, 4, 1]


def test_ctrl_c_reaches_sync_bodies_and_shared_fixtures_that_are_being_set_up(
    run: Run, pytester: pytest.Pytester
) -> None:
    source = (
        RESOURCES
        + """
    import os, signal
    UP = []
    async def interrupt(attempt):
        UP.append(attempt)
        if len(UP) == 4: os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
    def test_b(attempt, plain, server): attempt.wait(interrupt(attempt))
    def test_c(attempt, plain, server): attempt.wait(interrupt(attempt))
    """
    )
    result = run(source, "--k=2")
    assert result.ret == 2
    assert [count(pytester, name) for name in ("up", "down", "plain-down", "server-down")] == [4, 4, 4, 1]
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    result = run(
        """
        import asyncio, os, pytest, signal
        @pytest.fixture(scope="session")
        async def slow():
            os.kill(os.getpid(), signal.SIGINT)
            try: await asyncio.sleep(60)
            finally: open("cleaned", "w")
            yield
        async def test_a(attempt, slow): ...
        """
    )
    assert result.ret == 2
    assert (pytester.path / "cleaned").exists()


def test_exit_from_a_body_ends_the_session_at_once(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        RESOURCES
        + """
    async def test_a(attempt, plain): await asyncio.sleep(60)
    async def test_b(attempt): await asyncio.sleep(0.2); pytest.exit("enough", returncode=9)
    """
    )
    assert result.ret == 9
    result.stdout.fnmatch_lines(["*_pytest.outcomes.Exit: enough*"])
    assert count(pytester, "plain-down") == 1


def test_marks_of_skipping(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import pytest
        @pytest.mark.xfail
        async def test_a(attempt): attempt.agent_begins(); assert 0
        @pytest.mark.xfail
        async def test_b(attempt): ...
        @pytest.mark.xfail(run=False)
        async def test_c(attempt): open("ran", "w")
        @pytest.mark.skip(reason="not now")
        async def test_d(attempt): open("ran", "w")
        async def test_e(attempt): ...
        @pytest.mark.slow
        async def test_f(attempt): open("ran", "w")
        """,
        "--k=2",
        conftest="""
        import pytest
        def pytest_configure(config): config.addinivalue_line("markers", "slow")
        def pytest_runtest_setup(item):
            if item.get_closest_marker("slow"): pytest.skip("slow")
        """,
    )
    result.assert_outcomes(xfailed=2, xpassed=1, skipped=2, passed=1)
    assert not (pytester.path / "ran").exists()
    assert result.ret == 0


def test_an_unexpected_pass_of_a_strict_xfail_fails(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.mark.xfail(strict=True)
        async def test_a(attempt): ...
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*", "exit 1: FAILED: test_suite.py::test_a (xfail(strict=True))"])
    assert result.ret == 1


def test_warnings_as_errors_are_for_the_users_code_only(run: Run) -> None:
    result = run(
        """
        import warnings, pytest
        from pytest_agenteval import agent_task
        @agent_task(solution="true")
        async def test_a(agent, tmp_path): await agent.run("x")
        @agent_task(solution="true")
        def test_b(agent, attempt): attempt.wait(agent.run("x"))
        async def test_c(attempt): attempt.agent_begins(); warnings.warn("of the user", DeprecationWarning)
        def test_ordinary(): warnings.warn("of the user", UserWarning)
        async def test_d(attempt): ...
        """,
        "--k=2",
        "-W",
        "error",
        model="agenteval/oracle",
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["E*DeprecationWarning: of the user"])


def test_filters_of_one_task_do_not_reach_attempts_of_another(run: Run) -> None:
    run(
        """
        import asyncio, pytest, warnings
        @pytest.mark.filterwarnings("error")
        async def test_a(attempt): await asyncio.sleep(0.1)
        async def test_b(attempt): warnings.warn("allowed here", UserWarning)
        @pytest.mark.filterwarnings("ignore")
        async def test_c(attempt): warnings.warn("not counted", UserWarning)
        """,
        "--k=2",
    ).assert_outcomes(passed=3, warnings=1)


def test_junit_report(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        from pytest_agenteval import agent_task
        async def test_a(attempt): attempt.agent_begins(); print("hel" + "lo"); assert attempt.number == 1
        @agent_task(min_pass_rate=0.5)
        async def test_b(attempt): attempt.agent_begins(); assert attempt.number == 1
        """,
        "--k=2",
        "--junitxml=r.xml",
        "-o",
        "junit_logging=all",
    )
    result.assert_outcomes(failed=1)
    root = ElementTree.parse(pytester.path / "r.xml").getroot()
    cases = {case.get("name"): case for case in root[0].iter("testcase")}
    assert sorted(cases) == ["test_a", "test_b"]
    for case in cases.values():
        properties = {p.get("name"): p.get("value") for p in case.iter("property")}
        assert properties["agent_attempts"] == "2"
        assert properties["agent_passes"] == "1"
        assert properties["agent_pass_at_1"] == "0.5"
        assert properties["agent_pass_hat_2"] == "0.0"
    assert [len(list(cases[name].iter("failure"))) for name in ("test_a", "test_b")] == [1, 0]
    assert "hello" in ElementTree.tostring(cases["test_a"], encoding="unicode")


def test_durations_are_the_attempts_own(run: Run) -> None:
    """Tasks overlap: while pytest waits for the first, the others run as well and would seem to have taken no time."""
    result = run(
        """
        import asyncio
        async def test_a(attempt): await asyncio.sleep(0.5)
        async def test_b(attempt): await asyncio.sleep(0.4)
        """,
        "--k=2",
        "--durations=0",
    )
    result.stdout.re_match_lines(
        [r"0\.[5-9]\d*s call +test_suite.py::test_a", r"0\.[4-9]\d*s call +test_suite.py::test_b"]
    )


def test_a_debugger_opens_in_the_frame_of_the_failure(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        async def test_a(attempt):
            attempt.agent_begins()
            local = 40 + attempt.number
            assert local == 0
        async def test_b(attempt):
            here = "in " + "the body"
            breakpoint()
        async def test_c(attempt): open("ran", "a").write("x")
        """,
        "--pdb",
        stdin="p 'is', local\np 'ran', __import__('os').path.exists('ran')\ncontinue\np here\ncontinue\n",
    )
    result.stdout.fnmatch_lines(["*('is', 41)*", "*('ran', False)*", "*'in the body'*"])  # nothing runs behind its back
    result.assert_outcomes(failed=1, passed=2)
    assert (pytester.path / "ran").read_text() == "x"


def test_nobody_waits_for_an_evaluation_that_is_over(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pathlib
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop():
            pathlib.Path("log-files").touch()
        """
    )
    result = run(
        """
        async def test_a(attempt): ...
        def test_ordinary(): ...
        async def test_b(attempt): ...
        """,
        "--agent-log-dir=log-files",
    )
    assert result.parseoutcomes() == {"undecided": 2, "passed": 1}
    assert result.ret == 10


def test_a_task_is_summarized_and_judged_once(run: Run) -> None:
    result = run(
        """
        async def test_a(attempt): ...
        async def test_b(attempt): attempt.agent_begins(); assert attempt.number == 1
        """,
        "--k=2",
        conftest="""
        import sys
        from collections import Counter
        import pytest_agenteval.session.tasks
        calls = Counter()
        def counted(name, function):
            def call(task, *more):
                calls[f"{name} {task.task}"] += 1
                return function(task, *more)
            return call
        ours = [module for name, module in sys.modules.items() if name.startswith("pytest_agenteval")]
        for name in ("summarize_task", "judge_task"):
            for module in ours:
                if name in vars(module): setattr(module, name, counted(name, vars(module)[name]))
        def pytest_unconfigure(): print(*(f"{count} x {call}" for call, count in calls.items()), sep="\\n")
        """,
    )
    result.assert_outcomes(passed=1, failed=1)
    counts = [line for line in result.outlines if " x " in line]
    assert sorted(counts) == [
        f"1 x {what} test_suite.py::test_{name}" for what in ("judge_task", "summarize_task") for name in "ab"
    ]
