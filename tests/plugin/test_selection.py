from __future__ import annotations

import pytest
from support.suite_runs import Run

SUITE = """
    import pytest
    from pytest_agenteval import agent_task
    @agent_task()
    async def test_alpha(attempt): attempt.agent_begins(); open("ran", "a").write("a")
    @pytest.mark.parametrize("name", ["x/y", "z 8"])
    async def test_beta(attempt, name): attempt.agent_begins(); open("ran", "a").write("b"); assert name != "z 8"
    def test_ordinary(): open("ran", "a").write("o")
"""


def ran(pytester: pytest.Pytester) -> str:
    path = pytester.path / "ran"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return "".join(sorted(text))


def test_names_node_ids_and_marks_select_tasks(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "--k=2", "-k", "alpha")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(["1 of 3 tasks selected"])
    assert ran(pytester) == "aa"
    run(SUITE, "--k=2", "test_suite.py::test_beta[x/y]").assert_outcomes(passed=1)
    assert ran(pytester) == "bb"
    run(SUITE, "--k=2", "-m", "agent_task").assert_outcomes(passed=1, deselected=3)
    assert ran(pytester) == "aa"
    result = run(SUITE, "--k=2", "-k", "ordinary")
    result.assert_outcomes(passed=1, deselected=3)
    assert (ran(pytester), result.ret) == ("o", 0)


@pytest.mark.parametrize("slip", [["-k", "8"], ["-k8"], ["-k=8"]])
def test_the_slip_of_k_is_answered(run: Run, pytester: pytest.Pytester, slip: list[str]) -> None:
    result = run(SUITE, *slip)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*did you mean --k=8?*"])
    assert ran(pytester) == ""


def test_last_failed_and_stepwise_go_by_tasks(run: Run, pytester: pytest.Pytester) -> None:
    cache = ("-p", "cacheprovider", "-p", "stepwise", "--k=2")
    run(SUITE, *cache).assert_outcomes(passed=3, failed=1)
    assert ran(pytester) == "aabbbbo"
    run(SUITE, *cache, "--lf").assert_outcomes(failed=1)
    assert ran(pytester) == "bb"
    run(SUITE, *cache, "--sw").assert_outcomes(passed=2, failed=1)
    assert ran(pytester) in ("aabbbb",)
    run(SUITE, *cache, "--sw").assert_outcomes(failed=1, deselected=2)


def test_a_suite_that_cannot_be_collected_costs_nothing(run: Run, pytester: pytest.Pytester) -> None:
    files = {"test_wrong.py": "import no_such_module"}
    result = run(SUITE, "--k=2", files=files)
    assert result.ret == 2
    assert ran(pytester) == ""
    assert not (pytester.path / "logs").exists()
    result = run(SUITE, "--k=2", "--continue-on-collection-errors", files=files)
    result.assert_outcomes(passed=3, failed=1, errors=1)
    assert ran(pytester) == "aabbbbo"
    assert result.ret == 1
