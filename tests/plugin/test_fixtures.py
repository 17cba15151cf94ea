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
        [f"*fixture '{name}', wanted by fixture 'mine_{name}', changes process-wide state*" for name in names]
    )
    result.stdout.fnmatch_lines(["*fixture 'caplog' changes process-wide state*"])
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
            async def test_in_class(self, via): assert [via[0], via[1][0], via[1][1][0]] == ["class", "module", "conftest"]
        async def test_in_module(via, attempt):
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
    result.stdout.fnmatch_lines(
        ["*_ test_1 _*", "*boom 1*", "attempts 1-2: broken"]
        + ["*_ test_2 _*", "*boom 2*", "attempts 1-2: broken"]
        + ["*_ test_3 _*", "*boom 3*", "attempts 1-2: broken"]
        + ["*_ test_4 _*", "*boom 4*", "attempts 1-2: broken"]
        + ["*_ test_5 _*", "*fixture 'never' did not yield a value*", "attempts 1-2: broken"]
        + ["*_ test_6 _*", "*fixture 'async_never' did not yield a value*", "attempts 1-2: broken"]
        + ["*_ test_7 _*", "*fixture 'twice' yielded more than once*", "attempts 1-2: broken"]
        + ["*_ test_8 _*", "*fixture 'async_twice' yielded more than once*", "attempts 1-2: broken"]
        + ["exit 1: FAILED: 16 attempts are broken"]
    )


def test_every_attempt_gets_its_own_fixtures_and_tears_them_down_last_in_first_out(run: Run) -> None:
    run(
        """
        import asyncio, collections, pytest
        SEEN = collections.defaultdict(list)
        @pytest.fixture
        async def a(attempt):
            task = asyncio.current_task()
            SEEN[attempt.task, attempt.number].append("a up")
            yield object()
            await asyncio.sleep(0.01)
            assert asyncio.current_task() is task
            SEEN[attempt.task, attempt.number].append("a down")
        @pytest.fixture
        def b(a, attempt, request):
            request.addfinalizer(lambda: SEEN[attempt.task, attempt.number].append("b finalized"))
            SEEN[attempt.task, attempt.number].append("b up")
            yield a
            SEEN[attempt.task, attempt.number].append("b down")
        @pytest.fixture(autouse=True)
        async def auto(attempt):
            SEEN[attempt.task, attempt.number].append("auto up")
            yield
            SEEN[attempt.task, attempt.number].append("auto down")
        IDS = set()
        async def test_async(b, attempt, tmp_path):
            await asyncio.sleep(0.02)
            IDS.add(id(b)); assert not list(tmp_path.iterdir())
            tmp_path.joinpath("x").write_text("x"); KEEP.append(b)
        def test_sync(b, attempt, tmp_path):
            assert not list(tmp_path.iterdir())
            tmp_path.joinpath("x").write_text("x")
        KEEP = []
        def test_ordinary(request):
            expected = ["auto up", "a up", "b up", "b down", "b finalized", "a down", "auto down"]
            assert len(SEEN) == 6 and all(events == expected for events in SEEN.values()), dict(SEEN)
            assert len(IDS) == 3
        """.replace("def test_ordinary(request)", "def test_ordinary(auto_is_off)"),
        "--k=3",
        files={"auto.py": ""},
        conftest="""
        import pytest
        @pytest.fixture
        def auto_is_off(): pass
        """,
    ).assert_outcomes(passed=3)
