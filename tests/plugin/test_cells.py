from __future__ import annotations

from support.suite_runs import Run


def test_every_task_runs_once_per_model(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import agent_task
        @agent_task(solution="touch done")
        async def test_a(agent, sandbox, agent_model):
            assert agent.model == agent_model
            await agent.run("x")
            assert (await sandbox.exec(["ls"])).stdout.split() == ["done"]
        class TestX:
            @pytest.mark.parametrize("n", [1, 2])
            async def test_b(self, attempt, n): attempt.agent_begins(); assert attempt.model.startswith("agenteval/")
        def test_ordinary(): ...
        """,
        "--agent-model=agenteval/oracle",
        "--k=2",
        "-v",
    )
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*::test_a[[]agenteval/null] FAILED 0/2*",
            "*::test_a[[]agenteval/oracle] PASSED 2/2*",
            "*::test_b[[]agenteval/null-1] PASSED 2/2*",
            "*::test_b[[]agenteval/oracle-2] PASSED 2/2*",
        ]
    )
    result.stdout.fnmatch_lines(["Cells side by side*"])
    assert result.ret == 1


def test_every_cell_is_gated_by_itself(run: Run) -> None:
    """pass@1 over both cells together would be 0.5; the worse cell alone fails the run."""
    result = run(
        """
        from pytest_agenteval import agent_task
        @agent_task(solution="touch done")
        async def test_a(agent, sandbox):
            await agent.run("x")
            assert (await sandbox.exec(["ls"])).stdout.split() == ["done"]
        """,
        "--agent-model=agenteval/oracle",
        "--k=2",
        "--min-pass-at-1=0.4",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines_random(
        ["PASS *--min-pass-at-1 [[]agenteval/oracle*", "FAIL *--min-pass-at-1 [[]agenteval/null*"]
    )
    assert result.ret == 1


def test_a_marked_task_without_fixtures_cannot_tell_its_cells_apart(run: Run) -> None:
    result = run(
        """
        import pytest
        @pytest.mark.agent_task
        async def test_a(): ...
        """,
        "--agent-model=agenteval/oracle",
    )
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*test_a carries the mark agent_task but uses none of*has to name agent_model*"])


def test_a_task_may_name_its_models_itself(run: Run) -> None:
    result = run(
        """
        import pytest
        from pytest_agenteval import agent_task
        @pytest.mark.parametrize("agent_model", ["agenteval/oracle", "agenteval/null"])
        @agent_task(solution="true", answer="yes")
        async def test_a(agent, agent_model, attempt):
            result = await agent.run("x")
            assert agent.model == agent_model == attempt.model
            assert result.answer == ("yes" if agent_model == "agenteval/oracle" else "")
        """,
        "--agent-model=agenteval/noisy",
        "-v",
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_a[[]agenteval/oracle] PASSED*", "*test_a[[]agenteval/null] PASSED*"])
