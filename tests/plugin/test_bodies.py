from __future__ import annotations

import pytest
from support.suite_runs import Run


def test_attempts_of_all_tasks_run_at_the_same_time(run: Run) -> None:
    """Each attempt waits for all the others: they could not pass one after another."""
    run(
        """
        import asyncio, pytest
        class TestX:
            HERE, ALL = 0, asyncio.Event()
            async def meet(self):
                TestX.HERE += 1
                if TestX.HERE == 12: self.ALL.set()
                await asyncio.wait_for(self.ALL.wait(), 20)
            async def test_a(self, attempt): await self.meet()
            async def test_b(self, attempt): await self.meet()
            def test_c(self, attempt): attempt.wait(self.meet())
        """,
        "--k=4",
    ).assert_outcomes(passed=3)


def test_every_attempt_runs_exactly_once(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture(autouse=True)
        def count(request): open("log", "a").write(f"{request.node.name} ")
        async def test_a(attempt): ...
        @pytest.mark.skip
        async def test_b(attempt): ...
        async def test_c(attempt): ...
        @pytest.mark.xfail(run=False)
        async def test_d(attempt): ...
        def test_e(attempt): ...
        @pytest.mark.skipif(True, reason="not today")
        async def test_f(attempt): ...
        async def test_g(attempt): pytest.skip("no")
        async def test_h(attempt): ...
        """,
        "--k=3",
    )
    result.assert_outcomes(passed=4, skipped=3, xfailed=1)
    names = (pytester.path / "log").read_text().split()
    assert sorted(names) == sorted(f"test_{letter}" for letter in "acegh" for _ in range(3))


def test_a_sync_body_has_a_thread_of_its_own_with_its_fixtures(run: Run) -> None:
    run(
        """
        import contextvars, pytest, sqlite3, threading
        NAME = contextvars.ContextVar("NAME")
        @pytest.fixture
        def db(): c = sqlite3.connect(":memory:"); c.execute("create table t(x)"); yield c; c.close()
        @pytest.fixture
        def name(attempt): token = NAME.set(attempt.number); yield; NAME.reset(token)
        @pytest.fixture
        async def outer(): NAME.set("async")
        THREADS = []
        def test_sync(attempt, db, name):
            db.execute("insert into t values (1)")
            async def here(): return threading.current_thread(), NAME.get()
            assert attempt.wait(here()) == (threading.main_thread(), attempt.number) and NAME.get() == attempt.number
            THREADS.append(threading.current_thread())
        def test_sync_sees_what_async_fixtures_set(outer, attempt): assert NAME.get() == "async"
        async def test_async(attempt, db, name):
            db.execute("insert into t values (1)")
            assert NAME.get() == attempt.number and threading.current_thread() is threading.main_thread()
        def test_ordinary():
            assert len(set(THREADS)) == 4 and threading.main_thread() not in THREADS and NAME.get(None) is None
        """,
        "--k=4",
    ).assert_outcomes(passed=4)


def test_an_agent_is_run_from_async_and_from_sync_bodies(run: Run) -> None:
    result = run(
        """
        from pytest_agenteval import agent_task
        @agent_task(solution=["echo a > f"], answer="done")
        async def test_async(agent, sandbox):
            result = await agent.run("write a file")
            assert result.answer == "done" and await sandbox.read_file("f") == "a\\n"
        @agent_task(solution=["echo b > f"])
        def test_sync(agent, sandbox, attempt):
            attempt.wait(agent.run("write a file"))
            assert attempt.wait(sandbox.read_file("f")) == "a\\n"
        async def test_waits_wrongly(agent, attempt):
            attempt.wait(agent.run("x"))
        """,
        "--k=2",
        model="agenteval/oracle",
    )
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*_ test_sync _*", "E*assert 'b?n' == 'a?n'", "*attempts 1-2: failed*"])
    result.stdout.fnmatch_lines(["*RuntimeError: attempt.wait() is for sync tests; in an async test use await*"])


def test_before_the_agent_an_exception_is_the_tests_and_after_it_the_agents(run: Run) -> None:
    result = run(
        """
        import pytest, sys
        async def test_1(attempt): raise KeyError("early")
        async def test_2(attempt): attempt.agent_begins(); raise KeyError("late")
        async def test_3(attempt): sys.exit(3)
        def test_4(attempt): attempt.agent_begins(); sys.exit(3)
        async def test_5(attempt): attempt.agent_begins(); raise KeyboardInterrupt
        async def test_6(attempt): attempt.agent_begins(); pytest.fail("wrong answer")
        async def test_7(attempt): attempt.agent_begins(); pytest.skip("too late")
        async def test_8(attempt): pytest.skip("no such tool here")
        def test_9(attempt): attempt.agent_begins(); raise StopIteration
        """,
        "--k=2",
        "-rs",
    )
    result.assert_outcomes(failed=8, skipped=1)
    expected = ["broken", "failed", "broken", "failed", "failed", "failed", "broken"]
    for number, outcome in enumerate(expected, 1):
        result.stdout.fnmatch_lines([f"*_ test_{number} _*", f"attempts 1-2: {outcome}*"])
    result.stdout.fnmatch_lines(["*_ test_9 _*", "attempts 1-2: failed*"])
    result.stdout.fnmatch_lines(["SKIPPED*no such tool here"])
    assert result.ret == 1


def test_assertions_keep_their_details(run: Run) -> None:
    result = run(
        """
        async def test_a(attempt):
            attempt.agent_begins()
            assert {"ok": True, "n": attempt.number} == {"ok": False, "n": attempt.number}
        """,
        "--k=2",
    )
    result.stdout.fnmatch_lines(
        ["E*Differing items:", "E*{'ok': True} != {'ok': False}", "test_suite.py:4: AssertionError"]
    )


def test_a_task_passes_as_its_min_pass_rate_says(run: Run) -> None:
    result = run(
        """
        from pytest_agenteval import agent_task
        async def test_all(attempt): attempt.agent_begins(); assert attempt.number != 2
        @agent_task(min_pass_rate=0.5)
        async def test_half(attempt): attempt.agent_begins(); assert attempt.number != 2
        @agent_task(min_pass_rate=0)
        async def test_none(attempt): attempt.agent_begins(); assert False
        """,
        "--k=4",
        "-v",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_all FAILED 3/4*", "*test_half MEASURED 3/4*", "*test_none MEASURED 0/4*"])
    assert result.ret == 1


def test_checks_and_setup_have_a_time_limit(run: Run) -> None:
    result = run(
        """
        import anyio, asyncio, pytest
        from pytest_agenteval import agent_task
        soon = agent_task(grading_time_limit=0.2)
        @pytest.fixture
        async def group():
            async with anyio.create_task_group() as tg:
                tg.start_soon(asyncio.sleep, 0.01)
                yield
                await asyncio.sleep(0.02)
                open("released", "a").write("x")
        @soon
        async def test_setup(attempt, group): await asyncio.sleep(30)
        @soon
        async def test_checks(attempt, group): attempt.agent_begins(); attempt.agent_ends(); await asyncio.sleep(30)
        @soon
        def test_sync(attempt, group): attempt.agent_begins(); attempt.agent_ends(); attempt.wait(asyncio.sleep(30))
        def test_ordinary(): assert open("released").read() == "x" * 6
        """,
        "--k=2",
    )
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines(
        ["*no agent had started after 0.2 s*", "*the checks after the agent took longer than 0.2 s*"]
    )


def test_an_agent_that_raises_before_its_first_model_call_is_no_failure_of_the_model(run: Run) -> None:
    result = run(
        """
        async def test_at_once(agent): await agent.run("x")
        """,
        "--k=2",
        "--agent-scaffold=my_agents:lost",
        "--agent-scaffold=my_agents:called",
        files={
            "my_agents.py": """
            from inspect_ai.model import get_model
            async def lost(task, context): raise RuntimeError("no key")
            async def called(task, context):
                await get_model().generate(task)
                raise RuntimeError("no plan")
            """
        },
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["attempts 1-2: broken", "*RuntimeError at test_suite.py:2"])
    result.stdout.fnmatch_lines(["*the agent raised before its first model call: RuntimeError: no key"])
    result.stdout.fnmatch_lines(["attempts 1-2: failed*", "*RuntimeError: no plan*"])
