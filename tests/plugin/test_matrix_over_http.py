from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.estimate.cells import CellComparison, compare_cells
from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.record.records import Cell, TaskRecord, from_json

TASKS = 5
MODELS = {AGENT: 1, AGENT.replace("agent-1", "agent-2"): 3, AGENT.replace("agent-1", "agent-3"): 11}
"""How many times as dear as the first a model is."""
SCAFFOLDS = {"react": 1, "crew:planning": 2, "crew:voting": 3}
"""How many times as many calls as react, which makes two, a scaffold makes."""
CALL = (600 * 1.0 + 400 * 0.1 + 100 * 10.0) / 1e6
"""A call of the cheapest model: of 1000 tokens read 400 come from the provider's cache; 100 are written."""
UNCACHED = (1000 * 1.0 + 100 * 10.0) / 1e6
PRICES = {
    model: {"input": 1.0 * dear, "output": 10.0 * dear, "cache_read": 0.1 * dear} for model, dear in MODELS.items()
}

CREW = """
from inspect_ai.agent import agent, react
from inspect_ai.model import get_model
from inspect_ai.tool import bash

def thinking(first):
    async def execute(state):
        for _ in range(first):
            await get_model().generate(state.messages[:1])
        return await react(tools=[bash(timeout=30)])(state)
    return execute

@agent
def planning():
    return thinking(2)

@agent
def voting():
    return thinking(4)
"""
SUITE = """
import pytest

@pytest.mark.parametrize("n", range(5))
async def test_work(agent, sandbox, n):
    await agent.run(f"Do work number {n}.")
    assert (await sandbox.exec(["test", "-f", "done"])).success
"""
POLICIES = {
    "work": CommandPolicy(success=("touch done",), tokens=Tokens(prompt=1000, completion=100, cached=400)),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpRun]:
    with ScriptedServer(POLICIES, models=("agent-1", "agent-2", "agent-3")) as server:
        yield run_suite(
            tmp_path_factory.mktemp("matrix"), server, {"test_suite.py": SUITE, "crew.py": CREW},
            *(f"--agent-scaffold={name}" for name in SCAFFOLDS), "--max-cost=50", models=MODELS, prices=PRICES,
        )  # fmt: skip


@pytest.fixture(scope="module")
def found(run: HttpRun) -> CellComparison:
    lines = (run.folder / "records.jsonl").read_text("utf-8").splitlines()
    records: list[TaskRecord] = [from_json(json.loads(line)) for line in lines]
    return compare_cells(summarize(records), records)


def test_nine_cells_share_the_tasks(found: CellComparison, run: HttpRun) -> None:
    assert run.code == 0
    assert {row.cell for row in found.rows} == {Cell(model, scaffold) for model in MODELS for scaffold in SCAFFOLDS}
    assert found.common == tuple(f"test_suite.py::test_work[{n}]" for n in range(TASKS))


def test_each_cell_costs_what_its_calls_cost(found: CellComparison) -> None:
    for row in found.rows:
        factor = MODELS[row.cell.model] * SCAFFOLDS[row.cell.scaffold]
        for bill, call in ((row.bill, CALL), (row.uncached, UNCACHED)):
            assert bill.total.total == pytest.approx(TASKS * 2 * call * factor)
            for each in (bill.per_attempt, bill.per_success, bill.per_reliable_task):  # one attempt each, and it passes
                assert each is not None and each.total == pytest.approx(2 * call * factor)


def test_the_spread_of_costs_is_33(found: CellComparison) -> None:
    assert [spread.ratio for spread in found.spreads] == pytest.approx([33.0] * TASKS)
    assert found.shares is not None
    assert (found.shares.rows, found.shares.columns) == pytest.approx((0.82358, 0.17642), abs=1e-5)


def test_all_but_the_cheapest_cell_are_dominated(found: CellComparison) -> None:
    """All pass alike, and dearer at each of five tasks is p = 1/32."""
    cheapest = Cell(AGENT, "react")
    assert [row.cell for row in found.rows if row.dominated is None] == [cheapest]
    assert {row.dominated.by for row in found.rows if row.dominated} == {cheapest}
    assert {row.dominated.p_cost for row in found.rows if row.dominated} == {1 / 32}


def test_the_report_tells_it(run: HttpRun) -> None:
    told = " ".join(run.text.split())
    total = TASKS * 2 * CALL * sum(MODELS.values()) * sum(SCAFFOLDS.values())
    assert total == pytest.approx(1.476)
    assert "total cost of all cells $1.48" in told
    why = "no other cell, nor a mix of two, is both cheaper and better"
    assert f"front of cost and pass@1 ({why}), over 5 common tasks: A" in told
    assert "dominated: I by A (costs 33.0 times as much, pass@1 1.000 against 1.000; paired over 5 tasks" in told
    assert "cost spread of a task across cells: 33.0 times in the median, at most 33.0 times" in told
    assert "without provider cache:" in told


OTHER_PRICES = {
    model: {"input": dear, "output": 4.0, "cache_read": dear / 2}
    for model, dear in zip(MODELS, (8.0, 2.0, 0.5), strict=True)
}
"""A list by which the first model is the dearest."""
HARD = """
import pytest

@pytest.mark.parametrize("n", range(5))
async def test_work(agent, sandbox, n):
    await agent.run(f"Do work number {n}." if n < 3 else f"Do hard things, number {n}.")
    assert (await sandbox.exec(["test", "-f", "done"])).success
"""
HARD_POLICIES = {
    **POLICIES,
    "hard": CommandPolicy(p_success=0.0, success=("touch done",), failure=("true",), tokens=POLICIES["work"].tokens),
}


def in_dollars(model: str) -> float:
    """A call, by the other list."""
    row = OTHER_PRICES[model]
    return (600 * row["input"] + 400 * row["cache_read"] + 100 * row["output"]) / 1e6


def under_other_prices(folder: Path, *arguments: str) -> tuple[HttpRun, Counter[str]]:
    """A run, and how many requests of each model were answered."""
    with ScriptedServer(HARD_POLICIES, models=("agent-1", "agent-2", "agent-3")) as server:
        run = run_suite(
            folder, server, {"test_suite.py": HARD, "crew.py": CREW},
            *(f"--agent-scaffold={name}" for name in SCAFFOLDS), *arguments, models=MODELS, prices=OTHER_PRICES,
        )  # fmt: skip
        answered = Counter(entry.model for entry in server.journal if entry.answered == 200)
    return run, Counter({model: answered[model.split("/")[-1]] for model in MODELS})


def test_by_another_price_list_another_cell_is_the_cheapest(tmp_path: Path) -> None:
    run, answered = under_other_prices(tmp_path, "--min-pass-k=0.5")
    found = compare_cells(summarize(run.task_records), run.task_records)
    assert run.code == 0
    for row in found.rows:
        calls = 2 * TASKS * SCAFFOLDS[row.cell.scaffold]
        assert row.bill.total.total == pytest.approx(calls * in_dollars(row.cell.model))
        assert row.bill.per_success is not None
        assert row.bill.per_success.total == pytest.approx(calls * in_dollars(row.cell.model) / 3)
    assert {row.cell for row in found.rows if row.dominated is None} == {Cell(list(MODELS)[2], "react")}
    assert all(cell.pass_at_1.value == pytest.approx(3 / 5) for cell in summarize(run.task_records).cells)
    assert sum(record.cost or 0.0 for record in run.task_records) == pytest.approx(
        sum(count * in_dollars(model) for model, count in answered.items())
    )


def test_one_budget_is_shared_by_all_cells(tmp_path: Path) -> None:
    budget, flying = 0.1, 2
    bounded = ("--agent-generate=max_tokens=100", f"--agent-concurrency={flying}")
    run, answered = under_other_prices(tmp_path, f"--max-cost={budget}", "--min-pass-k=0", *bounded)
    paid = sum(count * in_dollars(model) for model, count in answered.items())
    assert run.code == 10
    assert len({record.cell for record in run.task_records if record.cost}) > 1
    # the server bills more tokens than the prompts have: the budget knows that only when a call has been answered
    assert 0.9 * budget < paid <= budget + flying * max(map(in_dollars, MODELS))
    assert sum(record.cost or 0.0 for record in run.task_records) == pytest.approx(paid)
    assert "the run's budget could not pay for" in run.status_line
