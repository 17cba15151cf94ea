from __future__ import annotations

import pytest
from support.suite_runs import Run


def test_own_fixtures_and_the_mark_make_agent_tasks_and_nothing_else_does(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import agent_task

        @pytest.fixture
        def through(sandbox): return sandbox

        async def test_agent(agent): ...
        async def test_sandbox(sandbox): ...
        async def test_attempt(attempt): ...
        async def test_model(agent_model): ...
        async def test_through(through): ...
        @pytest.mark.usefixtures("agent")
        def test_used(): ...
        @agent_task()
        async def test_marked(): ...
        @pytest.mark.agent_task
        class TestMarked:
            def test_in_class(self): ...
        def test_ordinary(): ...
        def test_ordinary_with_fixture(tmp_path): ...
        """,
        "-v",
        model=None,
    )
    result.assert_outcomes(skipped=8, passed=2)
    result.stdout.fnmatch_lines(["*::test_ordinary PASSED*", "*::test_ordinary_with_fixture PASSED*"])


def test_a_fixture_that_only_shares_the_name_keeps_its_test_ordinary(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture
        def agent(): return "estate agent"
        def test_a(agent, monkeypatch): assert agent == "estate agent"
        def test_b(agent): pass
        @pytest.mark.agent_task
        async def test_c(agent, attempt): assert agent == "estate agent"
        """,
        "--k=3",
    )
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*3/3*", "*2 ordinary tests use a fixture `agent` that is not pytest-agenteval's*"])


def test_an_override_that_asks_for_the_plugins_own_fixture_is_still_an_agent_task(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.fixture
        def agent(agent): return ("mine", agent.model)
        async def test_a(agent, attempt): attempt.agent_begins(); assert agent == ("mine", "agenteval/null")
        """,
        "--k=2",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*2/2*"])


def test_a_mark_whose_name_is_almost_ours_is_refused_because_its_limits_would_be_lost(run: Run) -> None:
    result = run(
        """
        import pytest
        pytestmark = pytest.mark.filterwarnings("ignore")
        @pytest.mark.agent_tasks(max_cost=1)
        async def test_a(agent): await agent.run("go")
        """,
        "-Wignore",
    )
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*the mark agent_tasks: did you mean agent_task?*"])


def test_wrong_options_of_the_mark_are_collection_errors_that_say_what_to_do(run: Run) -> None:
    result = run(
        files={
            "test_typo.py": """
                from pytest_agenteval import agent_task
                @agent_task(time_limt=3)
                async def test_a(attempt): ...
            """,
            "test_value.py": """
                import pytest
                @pytest.mark.agent_task(min_pass_rate=2)
                async def test_b(attempt): ...
            """,
            "test_position.py": """
                import pytest
                @pytest.mark.agent_task(3)
                async def test_c(attempt): ...
            """,
        }
    )
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines_random(
        [
            "*test_a: agent_task has no option 'time_limt': did you mean time_limit?*",
            "*test_b: agent_task(min_pass_rate=2)*",
            "*test_c: agent_task takes keyword arguments only, not 3*",
        ]
    )
    assert result.ret == 2


def test_marks_of_module_class_and_test_merge_option_by_option_and_the_nearest_wins(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import agent_task
        pytestmark = agent_task(turn_limit=7, token_limit=1000, time_limit=5)
        @agent_task(turn_limit=8, token_limit=2000)
        class TestX:
            @agent_task(turn_limit=9)
            async def test_a(self, request):
                options = request.node.options
                assert (options.turn_limit, options.token_limit, options.time_limit) == (9, 2000, 5)
        """
    )
    result.assert_outcomes(passed=1)


def test_parametrization_and_fixture_params_keep_their_ids(run: Run) -> None:
    result = run(
        """
        import pytest
        CALLS = []
        @pytest.fixture(params=["x", "y"])
        def p(request): return request.param
        @pytest.fixture
        def side(): CALLS.append(1)
        @pytest.mark.usefixtures("side")
        @pytest.mark.parametrize("q", [1])
        async def test_a(attempt, p, q, request):
            assert p in "xy" and q == 1 and request.node.name == f"test_a[{p}-1]"
        @pytest.mark.parametrize("p", ["z"])
        async def test_direct_over_fixture(attempt, p): assert p == "z"
        @pytest.mark.parametrize("p", ["z"], indirect=True)
        async def test_indirect(attempt, p): assert p == "z"
        def test_ordinary(): assert len(CALLS) == 6
        """,
        "--k=3",
        "-v",
    )
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*test_a[[]x-1] PASSED 3/3*", "*test_a[[]y-1] PASSED 3/3*"])


def test_collecting_or_planning_runs_nothing(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        @pytest.fixture(scope="module")
        async def shared(): open("ran", "w"); yield
        async def test_a(attempt, shared): open("ran", "w")
    """
    result = run(source, "--collect-only", "-q")
    result.stdout.fnmatch_lines(["test_suite.py::test_a"])
    assert result.ret == 0
    result = run(source, "--setup-plan")
    result.stdout.fnmatch_lines(["*SETUP*shared*"])
    run(source, "--collect-only", "-q", "--min-pass-at-1=1").assert_outcomes()
    assert not (pytester.path / "ran").exists()
    assert not (pytester.path / "logs").exists()
