from __future__ import annotations

from support.suite_runs import Run


def test_its_alarm_does_not_hit_attempts(run: Run) -> None:
    """The alarm would end whichever attempt is in flight; tasks have limits of their own."""
    result = run(
        """
        import asyncio, pytest, time
        @pytest.mark.timeout(0.2)
        async def test_a(attempt): await asyncio.sleep(0.5)
        async def test_b(attempt): await asyncio.sleep(0.5)
        def test_ordinary(): time.sleep(30)
        """,
        "--k=2",
        "--timeout=0.3",
        plugins=("timeout",),
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*Failed: Timeout*", "note: pytest-timeout does not apply to agent tasks: their time_limit*"]
    )


def test_where_nobody_asks_for_it_nothing_is_said(run: Run) -> None:
    result = run("async def test_a(attempt): ...", plugins=("timeout",))
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*pytest-timeout*")
