from __future__ import annotations

import pytest
from support.suite_runs import Run


def test_shuffled_tasks_run_every_attempt_once(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        import asyncio, pytest
        @pytest.fixture(scope="module")
        def shared(): box = {"alive": True}; yield box; box["alive"] = False
        @pytest.mark.parametrize("n", range(4))
        async def test_a(attempt, n): open("ran", "a").write(f"a{n} ")
        async def test_b(attempt, shared):
            open("ran", "a").write("b ")
            await asyncio.sleep(0.05)
            assert shared["alive"]
        def test_ordinary(): ...
    """
    for seed in (1, 2, 3):
        plugin = {"plugins": ("randomly",), "files": {"test_other.py": source}}
        result = run(source, "--k=2", f"--randomly-seed={seed}", **plugin)
        result.assert_outcomes(passed=12)
        ran = pytester.path / "ran"
        assert sorted(ran.read_text().split()) == sorted(["a0", "a1", "a2", "a3", "b"] * 4)
        ran.unlink()
