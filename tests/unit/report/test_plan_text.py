from __future__ import annotations

import pytest
from support.made_records import CELL

from pytest_agenteval.plan.duration import plan_duration
from pytest_agenteval.plan.expect import CostPlan, Detection
from pytest_agenteval.report.plan import CellPlan, plan_lines


def said(found: Detection) -> str:
    plan = CellPlan(CELL, CostPlan(8, 10, 10, 0.0, 10, 0.0), None, None, [found], None)
    lines = plan_lines([plan], plan_duration([], 1, 16), None, "logs", 400)
    return next(line.text.strip() for line in lines if line.text.strip().startswith("--min-pass-k"))


@pytest.mark.parametrize(
    ("after", "unchanged", "ends"),
    [
        (
            0.8,
            0.97,
            "a fall of pass@1 from the expected 0.900 to 0.800; an unchanged agent gets PASS 97.0% of the time",
        ),
        (0.88, 0.36, "gets PASS 36.0% of the time, so a FAIL tells little: lower the threshold"),
        (0.95, 0.01, "at the expected pass@1 of 0.900 it fails already; an unchanged agent gets PASS 1.0% of the time"),
        (None, 0.99, "never passes with 80% power; an unchanged agent gets PASS 99.0% of the time"),
    ],
)
def test_what_a_gate_can_show_and_whether_it_is_worth_it(after: float | None, unchanged: float, ends: str) -> None:
    assert said(Detection("--min-pass-k", 0.9, after, unchanged, 10)).endswith(ends)
