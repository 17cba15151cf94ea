from __future__ import annotations

import re

from support.suite_runs import Run


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^-+ Captured (.+?) call -+$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_prints_and_logs_are_kept_apart_per_attempt(run: Run) -> None:
    result = run(
        """
        import asyncio, logging, sys, pytest
        from pytest_agenteval import agent_task
        log = logging.getLogger("mine")
        @pytest.fixture
        async def speaking(attempt): print("up", attempt.number); yield; print("down", attempt.number)
        async def test_a(attempt, speaking):
            attempt.agent_begins()
            print("A", attempt.number); log.warning("log A %d", attempt.number)
            await asyncio.sleep(0.05)
            async def child(): print("child", attempt.number, file=sys.stderr)
            await asyncio.create_task(child())
            await asyncio.to_thread(print, "thread", attempt.number)
            assert 0
        def test_b(attempt, speaking):
            attempt.agent_begins()
            print("B", attempt.number)
            attempt.wait(asyncio.sleep(0.02))
            log.warning("log B %d", attempt.number)
            sys.stdout.flush(); sys.stdout.isatty(); sys.stdout.buffer
        """,
        "--k=2",
    )
    result.assert_outcomes(failed=1, passed=1)
    found = sections(result.stdout.str())
    for number in (1, 2):
        out = found[f"stdout (attempt {number})"].split("\n")[1:6]
        assert out == [f"up {number}", f"A {number}", f"thread {number}", f"down {number}", ""][:4] + out[4:]
        assert found[f"stderr (attempt {number})"].split("\n")[1] == f"child {number}"
        log = found[f"log (attempt {number})"]
        assert re.search(rf"WARNING +mine:test_suite.py:\d+ log A {number}", log)
    assert "log B" not in result.stdout.str()
    assert "\nB 1" not in result.stdout.str()
    result = run(None, "--k=2", "-rP", "-k", "test_b")
    assert sections(result.stdout.str())["stdout (attempt 2)"].split("\n")[1:4] == ["up 2", "B 2", "down 2"]


def test_libraries_records_stay_out_and_the_users_level_holds(run: Run) -> None:
    result = run(
        """
        import logging
        from pytest_agenteval import agent_task
        @agent_task(solution="true")
        async def test_a(agent):
            logging.getLogger("mine").debug("fine detail")
            await agent.run("x")
            assert 0
        """,
        "--log-level=DEBUG",
        model="agenteval/oracle",
    )
    result.assert_outcomes(failed=1)
    lines = sections(result.stdout.str())["log (attempt 1)"].split("\n")
    assert [line for line in lines if re.match("DEBUG|INFO", line)] == [line for line in lines if "fine detail" in line]
    assert "fine detail" in lines[1]


def test_nothing_is_swallowed_without_capture(run: Run) -> None:
    result = run("async def test_a(attempt): print('seen', attempt.number)", "--k=2", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines_random(["*seen 1", "*seen 2"])


def test_capture_can_be_hidden(run: Run) -> None:
    source = "async def test_a(attempt): attempt.agent_begins(); print('noise'); assert 0"
    result = run(source, "--show-capture=no")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("noise")


def test_an_ordinary_test_after_attempts_finds_the_process_as_it_was(run: Run) -> None:
    run(
        """
        import asyncio, logging, os, signal, sys, threading, warnings, pytest
        from pytest_agenteval import agent_task
        def state():
            return {
                "level": logging.getLogger().level,
                "handlers": [type(h).__name__ for h in logging.getLogger().handlers],
                "stdout": sys.stdout.__class__.__module__.split(".")[0],
                "hook": sys.excepthook,
                "sigint": signal.getsignal(signal.SIGINT),
                "filters": [f for f in warnings.filters if f[0] == "ignore" and f[2] is Warning],
                "cwd": os.getcwd(),
                **{name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
                "threads": [t.name for t in threading.enumerate() if t.name.startswith("attempt ")],
            }
        BEFORE = {}
        def test_before(): BEFORE.update(state())
        @agent_task(solution="true")
        async def test_async(agent): await agent.run("x")
        @agent_task(solution="true")
        def test_sync(agent, attempt): attempt.wait(agent.run("x"))
        def test_after(caplog, capsys):
            after = state()
            assert {key: after[key] for key in after if after[key] != BEFORE.get(key)} == {}
            logging.getLogger("mine").info("below the level")
            logging.getLogger("mine").warning("above it")
            print("captured")
            assert [r.message for r in caplog.records] == ["above it"]
            assert capsys.readouterr().out == "captured\\n"
            async def nothing(): return 1
            assert asyncio.run(nothing()) == 1
        @agent_task(solution="true")
        async def test_again(agent): await agent.run("x")
        """,
        "--k=2",
        model="agenteval/oracle",
    ).assert_outcomes(passed=5)
