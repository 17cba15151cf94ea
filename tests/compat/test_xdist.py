from __future__ import annotations

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
