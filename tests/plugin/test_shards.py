"""`--agent-shard`: which tests run in which part, and what a part without tests ends with."""

from __future__ import annotations

import re

import pytest
from support.suite_runs import Run, run

from pytest_agenteval.record.shards import shard_of

__all__ = ["run"]

NAMES = [f"test_{letter}" for letter in "abcdefgh"]
SUITE = "".join(f"async def {name}(attempt):\n    attempt.agent_begins()\n\n" for name in NAMES)
ORDINARY = "def test_ordinary_1(): pass\ndef test_ordinary_2(): pass\ndef test_ordinary_3(): pass\n"


def ran(result: pytest.RunResult) -> set[str]:
    found = re.findall(r"^\S+ test_suite\.py::(\S+)", result.stdout.str(), re.MULTILINE)
    return set(found) or set(re.findall(r"^test_suite\.py::(\S+) [A-Z]", result.stdout.str(), re.MULTILINE))


def expected(part: int, parts: int, *more: str) -> set[str]:
    return {name for name in (*NAMES, *more) if shard_of(f"test_suite.py::{name}", parts) == part}


def test_the_parts_are_disjoint_and_together_the_suite_with_ordinary_tests(run: Run) -> None:
    ordinary = re.findall(r"test_ordinary_\d", ORDINARY)
    for part in (1, 2):
        result = run(SUITE + ORDINARY, f"--agent-shard={part}/2", "-v")
        mine = expected(part, 2, *ordinary)
        assert result.ret == 0
        assert ran(result) == mine
        tasks = len(mine.intersection(NAMES))
        result.stdout.fnmatch_lines([f"*note: shard {part}/2: {tasks} of 8 tasks"])
    assert expected(1, 2, *ordinary) | expected(2, 2, *ordinary) == {*NAMES, *ordinary}
    assert 0 < len(expected(1, 2)) < len(NAMES)


def test_all_cells_of_a_task_are_in_one_part(run: Run) -> None:
    source = SUITE.replace("(attempt)", "(attempt, agent_model)")
    result = run(source, "--agent-model=agenteval/noisy", "--agent-shard=1/2", "-v", "--min-pass-k=0")
    assert ran(result) == {
        f"{name}[agenteval/{model}]" for name in expected(1, 2) for model in ("null", "noisy")
    }  # fmt: skip


EMPTY = next(part for part in range(1, 51) if not expected(part, 50))
FULL = shard_of("test_suite.py::test_a", 50)


def test_a_part_without_tests_is_no_failure(run: Run) -> None:
    result = run(SUITE, f"--agent-shard={EMPTY}/50", "--min-pass-k=0.5", "--max-cost=1", "--agent-allow-local")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*note: no task fell into shard {EMPTY}/50, of 8", "exit 0: *"])


def test_a_part_with_tests_but_without_tasks_holds_nothing_against_the_gates(run: Run) -> None:
    part, parts = 26, 51
    assert not expected(part, parts)
    assert expected(part, parts, "test_ordinary_1")
    assert run(SUITE + ORDINARY, f"--agent-shard={part}/{parts}", "--min-pass-k=0.5").ret == 0
    failing = ORDINARY.replace("pass", "assert False")
    assert run(SUITE + failing, f"--agent-shard={part}/{parts}", "--min-pass-k=0.5").ret == 1


def test_a_gate_still_judges_a_part_with_tasks(run: Run) -> None:
    broken = SUITE.replace("attempt.agent_begins()", "attempt.agent_begins(); assert False")
    assert run(broken, f"--agent-shard={FULL}/50", "--min-pass-k=0.5").ret == 1


def test_where_nothing_is_collected_at_all_pytest_has_its_own_status(run: Run) -> None:
    assert run("", "--agent-shard=1/2").ret == 5
    assert run(SUITE, f"--agent-shard={FULL}/50", "-k", "no_such_test").ret == 5


def test_parts_are_made_where_nothing_is_evaluated_too(run: Run) -> None:
    result = run(SUITE + ORDINARY, f"--agent-shard={EMPTY}/50", "--collect-only", "-q", model=None)
    assert result.ret in (0, 5)
    assert not re.search(r"test_[a-h]\b", result.stdout.str())


def test_models_whose_names_begin_alike_are_in_one_part(run: Run) -> None:
    """By the text of node ids `test_a[openai/gpt-5-mini]` is `test_a[mini]` of the model openai/gpt-5."""
    source = """
        import pytest
        @pytest.mark.parametrize("n", range(6))
        async def test_a(agent, n): ...
        @pytest.mark.parametrize("agent_model", ["openai/gpt-5", "openai/gpt-5-mini"], ids=["large", "small"])
        async def test_b(agent, agent_model): ...
        @pytest.mark.parametrize("judge", ["openai/gpt-5", "none"])
        async def test_c(agent, judge): ...
    """
    models = ("--agent-model=openai/gpt-5", "--agent-model=openai/gpt-5-mini")
    parts: dict[str, list[int]] = {}
    for part in (1, 2, 3):
        result = run(source, *models, f"--agent-shard={part}/3", "--collect-only", "-q", model=None)
        for line in result.outlines:
            if found := re.match(r"test_suite\.py::(test_.)\[(.+)\]", line):
                ids = re.sub(r"^(openai/gpt-5-mini|openai/gpt-5|large|small)(-|$)", "", found[2])
                parts.setdefault(f"{found[1]}[{ids}]" if ids else found[1], []).append(part)
    names = [*(f"test_a[{n}]" for n in range(6)), "test_b", "test_c[openai/gpt-5]", "test_c[none]"]
    assert parts == {name: [shard_of(f"test_suite.py::{name}", 3)] * 2 for name in names}
