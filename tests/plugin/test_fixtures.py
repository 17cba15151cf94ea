from __future__ import annotations

import pytest
from support.suite_runs import Run


def test_process_wide_fixtures_are_refused_through_whatever_asks_for_them(run: Run, pytester: pytest.Pytester) -> None:
    names = ("monkeypatch", "capsys", "capfd", "capsysbinary", "capfdbinary", "caplog", "recwarn", "capteesys")
    tests = "".join(f"async def test_{name}(attempt, mine_{name}): open('ran', 'w')\n" for name in names)
    fixtures = "".join(f"@pytest.fixture\ndef mine_{name}({name}): return 1\n" for name in names)
    result = run(f"import pytest\n{fixtures}{tests}async def test_direct(attempt, caplog): open('ran', 'w')\n", "--k=2")
    result.assert_outcomes(errors=len(names) + 1)
    result.stdout.fnmatch_lines_random(
        [f"*fixture '{name}' changes process-wide state (fixture 'mine_{name}' asks for it)*" for name in names]
    )
    result.stdout.fnmatch_lines(["*fixture 'caplog' changes process-wide state*sandbox.exec(*env=*"])
    assert result.ret == 1
    assert not (pytester.path / "ran").exists()


def test_fixtures_that_the_user_names_are_refused_at_any_scope(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture(scope="module")
        def clock(): open("ran", "w")
        @pytest.fixture(autouse=True)
        def env(): pass
        async def test_a(attempt, clock): pass
        def test_ordinary(clock, env): pass
        """,
        "--agent-unsafe-fixture=clock",
        "--agent-unsafe-fixture=env",
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*fixture 'env' changes process-wide state*"])


def test_chains_of_overrides(run: Run) -> None:
    run(
        """
        import pytest
        @pytest.fixture
        def agent(agent): return ("module", agent)
        @pytest.fixture
        def via(agent): return agent
        @pytest.fixture
        def tmp_path(tmp_path): return tmp_path / "deeper"
        class TestX:
            @pytest.fixture
            async def agent(self, agent): return ("class", agent)
            async def test_in_class(self, via, attempt):
                attempt.agent_begins()
                assert [via[0], via[1][0], via[1][1][0]] == ["class", "module", "conftest"]
        async def test_in_module(via, attempt):
            attempt.agent_begins()
            assert (via[0], via[1][0], via[1][1].model) == ("module", "conftest", "agenteval/null")
            assert attempt.model == "agenteval/null"
        async def test_path(attempt, tmp_path):
            assert tmp_path.name == "deeper" and tmp_path.parent.is_dir() and not tmp_path.exists()
        """,
        "--k=2",
        conftest="""
        import pytest
        @pytest.fixture
        def agent(agent): return ("conftest", agent)
        """,
    ).assert_outcomes(passed=3)


def test_a_function_scoped_override_of_a_wider_fixture_says_what_to_do(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture
        def server(server): return ("module", server)
        async def test_a(attempt, server): pass
        """,
        conftest="""
        import pytest
        @pytest.fixture(scope="session")
        def server(): return "session"
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*function-scoped fixture 'server' overrides a session-scoped one*give one of the two another name*"]
    )


def test_errors_of_fixtures_are_broken_attempts(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture
        def sync_up(attempt): attempt.agent_begins(); assert 1 == 2, "boom 1"; yield
        @pytest.fixture
        def sync_down(): yield; assert 1 == 2, "boom 2"
        @pytest.fixture
        async def async_up(): assert 1 == 2, "boom 3"
        @pytest.fixture
        async def async_down(): yield; assert 1 == 2, "boom 4"
        @pytest.fixture
        def never(): return; yield
        @pytest.fixture
        async def async_never(): return; yield
        @pytest.fixture
        def twice(): yield; yield
        @pytest.fixture
        async def async_twice(): yield; yield
        async def test_1(attempt, sync_up): pass
        async def test_2(attempt, sync_down): attempt.agent_begins()
        async def test_3(attempt, async_up): pass
        async def test_4(attempt, async_down): attempt.agent_begins(); raise RuntimeError("in the body")
        async def test_5(attempt, never): pass
        def test_6(attempt, async_never): pass
        def test_7(attempt, twice): attempt.agent_begins()
        async def test_8(attempt, async_twice): attempt.agent_begins()
        """,
        "--k=2",
    )
    result.assert_outcomes(failed=8)
    phases = ("setup", "teardown", "setup", "teardown", "setup", "setup", "teardown", "teardown")
    messages = (
        *(f"boom {number}" for number in (1, 2, 3, 4)),
        "fixture 'never' did not yield a value",
        "fixture 'async_never' did not yield a value",
        "fixture 'twice' yielded more than once",
        "fixture 'async_twice' yielded more than once",
    )
    for number, (phase, message) in enumerate(zip(phases, messages, strict=True), 1):
        result.stdout.fnmatch_lines([f"*_ test_{number} _*", f"*{message}*", f"attempts 1-2: broken ({phase})"])
    result.stdout.fnmatch_lines(["exit 1: FAILED: 16 attempts are broken"])
    result.stdout.no_fnmatch_line("*resolver.py*")


def test_every_attempt_has_its_own_fixtures_and_tears_them_down_last_in_first_out(run: Run) -> None:
    run(
        """
        import asyncio, pytest
        ALL = []
        @pytest.fixture
        def events(): ALL.append([]); return ALL[-1]
        @pytest.fixture(autouse=True)
        async def auto(events): events.append("auto up"); yield; events.append("auto down")
        @pytest.fixture
        async def a(events):
            task = asyncio.current_task()
            events.append("a up")
            yield
            await asyncio.sleep(0.01)
            assert asyncio.current_task() is task
            events.append("a down")
        @pytest.fixture
        def b(a, events, request):
            request.addfinalizer(lambda: events.append("b finalized"))
            events.append("b up")
            yield
            events.append("b down")
        async def test_async(attempt, b, tmp_path):
            await asyncio.sleep(0.02)
            assert not list(tmp_path.iterdir())
            tmp_path.joinpath("x").touch()
        def test_sync(attempt, b, tmp_path):
            assert not list(tmp_path.iterdir())
            tmp_path.joinpath("x").touch()
        """,
        "--k=3",
        files={
            "test_z.py": """
            from test_suite import ALL
            def test_ordinary():
                expected = ["auto up", "a up", "b up", "b down", "b finalized", "a down", "auto down"]
                assert ALL == [expected] * 6
            """
        },
    ).assert_outcomes(passed=3)


def test_every_attempt_has_its_own_instance_of_the_test_class(run: Run) -> None:
    run(
        """
        import asyncio, pytest
        class TestX:
            def setup_method(self, method): self.up = [method.__name__]
            def teardown_method(self): DOWN.append(self)
            @pytest.fixture
            def mine(self, request): assert request.instance is self; self.set_by_fixture = self; return self
            async def test_a(self, attempt, mine):
                assert mine is self and self.set_by_fixture is self and self.up == ["test_a"]
                self.up.append("body"); ALL.append(self)
                await asyncio.sleep(0.01)
            def test_b(self, attempt, mine, request):
                assert mine is self is request.instance and self.up == ["test_b"]
                self.up.append("body"); ALL.append(self)
        ALL, DOWN = [], []
        def test_ordinary(): assert len(set(ALL)) == 6 and set(DOWN) == set(ALL)
        """,
        "--k=3",
    ).assert_outcomes(passed=3)


def test_class_and_module_scopes_stay_up_while_attempts_run(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        import asyncio, pytest
        def log(text): open("log", "a").write(text)
        @pytest.fixture(scope="module")
        def m(): box = {"alive": True}; log("up "); yield box; box["alive"] = False; log("down ")
        class TestX:
            @pytest.fixture(scope="class")
            def c(self): box = {"alive": True}; yield box; box["alive"] = False
            async def test_a(self, attempt, c, m): await asyncio.sleep(0.05); assert c["alive"] and m["alive"]
            async def test_b(self, attempt, c, m): await asyncio.sleep(0.05); assert c["alive"] and m["alive"]
        @pytest.fixture(scope="class")
        def outside(): box = {"alive": True}; yield box; box["alive"] = False
        async def test_c(attempt, m): await asyncio.sleep(0.05); assert m["alive"]
        async def test_d(attempt, outside): await asyncio.sleep(0.05); assert outside["alive"]
        async def test_e(attempt, outside, m): await asyncio.sleep(0.05); assert outside["alive"] and m["alive"]
    """
    run(source, "--k=3", files={"test_other.py": source}).assert_outcomes(passed=10)
    assert (pytester.path / "log").read_text() == "up down up down "


def test_a_batch_begun_outside_a_module_does_not_pull_its_fixtures_down(run: Run) -> None:
    """The last teardown of the arming leaves only what the first task of the batch needs."""
    shared = """
        import asyncio, pytest
        @pytest.fixture(scope="{scope}")
        def shared(): box = {{"alive": True}}; yield box; box["alive"] = False
        async def test_x(attempt, shared): await asyncio.sleep(0.05); assert shared["alive"]
        async def test_y(attempt, shared): await asyncio.sleep(0.05); assert shared["alive"]
    """
    run(
        "async def test_first(attempt): ...",
        "--k=3",
        "test_suite.py",
        "test_later.py",
        "pkg",
        files={
            "test_later.py": shared.format(scope="module"),
            "pkg/__init__.py": "",
            "pkg/test_p.py": shared.format(scope="package"),
            "pkg/test_q.py": shared.format(scope="package"),
        },
    ).assert_outcomes(passed=7)


def test_a_package_scope_spans_its_modules(run: Run, pytester: pytest.Pytester) -> None:
    test = "import asyncio\nasync def test_x(attempt, p): await asyncio.sleep(0.05); assert p['alive']\n"
    run(
        "async def test_z(attempt): ...",
        "--k=2",
        files={
            "pkg/__init__.py": "",
            "pkg/conftest.py": """
                import pytest
                @pytest.fixture(scope="package")
                def p(): open("log", "a").write("up "); box = {"alive": True}; yield box; box["alive"] = False
            """,
            "pkg/test_a.py": test,
            "pkg/test_b.py": test,
            "pkg/sub/__init__.py": "",
            "pkg/sub/test_c.py": test,
        },
    ).assert_outcomes(passed=4)
    assert (pytester.path / "log").read_text() == "up "


def test_params_of_shared_fixtures_are_barriers_whatever_they_compare_like(run: Run) -> None:
    run(
        """
        import asyncio, pytest
        class Odd:
            def __eq__(self, other): return NotImplemented
            def __ne__(self, other): raise ValueError("the truth value of this comparison is ambiguous")
            __hash__ = None
        LIVE = []
        @pytest.fixture(scope="session", params=[Odd(), Odd()])
        def server(request): LIVE.append(request.param); yield request.param; LIVE.remove(request.param)
        async def test_a(attempt, server): await asyncio.sleep(0.03); assert len(LIVE) == 1 and LIVE[0] is server
        async def test_b(attempt, server): await asyncio.sleep(0.03); assert len(LIVE) == 1 and LIVE[0] is server
        @pytest.mark.parametrize("n", [1, 2], scope="module")
        async def test_c(attempt, n, server): await asyncio.sleep(0.03); assert LIVE[0] is server
        """,
        "--k=3",
    ).assert_outcomes(passed=8)


def test_wider_async_fixtures_live_in_one_task_and_outlive_a_stopped_session(
    run: Run, pytester: pytest.Pytester
) -> None:
    source = """
        import asyncio, pytest, anyio
        def log(text): open("log", "a").write(text + " ")
        @pytest.fixture(scope="session")
        async def plain(): await asyncio.sleep(0); return asyncio.get_running_loop()
        @pytest.fixture(scope="session")
        async def session(plain):
            task = asyncio.current_task()
            async with anyio.create_task_group() as group:
                group.start_soon(asyncio.sleep, 0.01)
                yield plain
                await asyncio.sleep(0.01)
            assert asyncio.current_task() is task
            log("session-down")
        class TestX:
            @pytest.fixture(scope="class")
            async def klass(self, session): log("class-up"); yield session; await asyncio.sleep(0); log("class-down")
            async def test_a(self, attempt, klass): assert klass is asyncio.get_running_loop()
            async def test_b(self, attempt, session):
                attempt.agent_begins(); assert session is asyncio.get_running_loop() and FINE
        async def test_c(attempt, session): await asyncio.sleep(SLEEP)
    """
    run(source + "\n        FINE, SLEEP = True, 0", "--k=2").assert_outcomes(passed=3)
    log = pytester.path / "log"
    assert log.read_text() == "class-up class-down session-down "
    log.unlink()
    result = run(source + "\n        FINE, SLEEP = False, 30", "--k=2", "-x")
    result.assert_outcomes(passed=1, failed=1)
    assert log.read_text() == "class-up class-down session-down "


def test_errors_and_skips_of_shared_fixtures_are_pytests_own(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture(scope="module")
        async def bad(): open("tries", "a").write("x"); raise OSError("no port is free")
        @pytest.fixture(scope="module")
        def absent(): pytest.skip("no server here")
        @pytest.fixture(scope="module")
        async def never(): return; yield
        @pytest.fixture(scope="module")
        async def twice(): yield; yield
        async def test_a(attempt, bad): open("ran", "w")
        async def test_b(attempt, bad): open("ran", "w")
        async def test_c(attempt, absent): open("ran", "w")
        async def test_d(attempt, never): open("ran", "w")
        async def test_e(attempt, twice): ...
        """,
        "--k=2",
        "-rs",
    )
    result.assert_outcomes(errors=4, skipped=1, passed=1)
    assert (pytester.path / "tries").read_text() == "x"
    result.stdout.fnmatch_lines_random(
        [
            "*OSError: no port is free*",
            "*no server here*",
            "*fixture 'never' did not yield a value*",
            "*fixture 'twice' yielded more than once*",
        ]
    )
    assert not (pytester.path / "ran").exists()
    assert result.ret == 1


def test_the_request_of_an_attempt(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture(scope="module")
        def shared(): return "shared"
        @pytest.fixture
        def asks(request, shared):
            assert request.getfixturevalue("shared") == "shared" and request.fixturename == "asks"
            assert request.config.getoption("verbose") == 0 and request.module.__name__ == "test_suite"
            assert request.function.__name__ == request.node.originalname
            return request
        async def test_a(attempt, asks, request): assert request.node is asks.node and request.scope == "function"
        async def test_b(attempt, request): request.getfixturevalue("asks")
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*name 'asks' as a parameter of the test or fixture instead*"])


def test_an_agent_of_ones_own(run: Run) -> None:
    result = run(
        """
        import pytest
        class Mine:
            def __init__(self, model, sandbox): self.model, self.sandbox = model, sandbox
            async def solve(self): return (await self.sandbox.exec(["echo", self.model])).stdout.strip()
        @pytest.fixture
        def agent(agent_model, sandbox): return Mine(agent_model, sandbox)
        async def test_a(agent): assert await agent.solve() == "agenteval/null"
        def test_b(agent, attempt): assert attempt.wait(agent.solve()) == "agenteval/null"
        """,
        "--k=2",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["agenteval/null · own agent, k = 2*"])


def test_fixtures_may_hold_task_groups_open_until_their_teardown(run: Run) -> None:
    """As clients of MCP servers do. The teardown is shielded all the same."""
    run(
        """
        import anyio, asyncio, pytest
        from pytest_agenteval import agent_task
        def make(name):
            @pytest.fixture(name=name)
            async def group():
                async with anyio.create_task_group() as tg:
                    tg.start_soon(anyio.sleep_forever)
                    yield tg
                    await asyncio.sleep(0.01)
                    open("released", "a").write("x")
                    tg.cancel_scope.cancel()
            return group
        one, two = make("one"), make("two")
        @agent_task(solution="true")
        async def test_async(agent, one, two): await agent.run("x")
        @agent_task(solution="true")
        def test_sync(agent, one, two, attempt): attempt.wait(agent.run("x"))
        def test_ordinary(): assert open("released").read() == "x" * 8
        """,
        "--k=2",
        model="agenteval/oracle",
    ).assert_outcomes(passed=3)
