from __future__ import annotations

import math
import re
import shlex

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.made_records import CELL, OTHER, attempt, task, task_of, tool_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.history import EarlierAttempt, EarlierRun
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.tool_calls import ToolCalls
from pytest_agenteval.report.metrics import metrics_text


def values(text: str) -> dict[str, float]:
    """By name and cell, as Prometheus reads it: strictly."""
    return {
        f"{sample.name} {sample.labels.get('model', '')}".strip(): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def gitlab(text: str) -> dict[str, str]:
    """As GitLab reads it: words as in a shell, without what follows a `#`."""
    lines = (shlex.split(re.sub("#.*", "", line)) for line in text.splitlines() if line.strip())
    return {words[0]: words[1] for words in lines if len(words) > 1}


def test_figures_of_each_cell_and_of_the_run() -> None:
    failing = task_of(attempt("p", 1, 0.5, tool_calls=(tool_call("timeout"), tool_call())), attempt("f", 2, 0.5))
    found = values(metrics_text(judge_run([failing, task("pp", "b", cost=0.25), task("pn", "c", cost=None, cell=OTHER)],
                                          GateSettings(min_pass_k=0.4))))  # fmt: skip
    ours, other = CELL.model, OTHER.model
    assert found["agent_exit_status"] == 10
    assert found[f"agent_pass_at_1 {ours}"] == 0.75
    assert found[f"agent_pass_hat_k {ours}"] == 0.5
    assert found[f"agent_cost_usd {ours}"] == 1.5
    assert found[f"agent_tool_failure_rate {ours}"] == 0.5
    assert (found[f"agent_attempts {other}"], found[f"agent_attempts_unmeasured {other}"]) == (1, 1)
    for unknown in ("agent_pass_hat_k", "agent_cost_usd", "agent_tool_failure_rate"):
        assert math.isnan(found[f"{unknown} {other}"])
    assert not any("regressed" in name for name in found)


def test_regressed_tasks_are_counted() -> None:
    before = EarlierRun("before", tuple(EarlierAttempt(CELL, "a", True, 0.1, ToolCalls(), None) for _ in range(8)))
    found = values(metrics_text(judge_run([task("f" * 8, "a")], GateSettings(), baseline=before)))
    assert found[f"agent_regressed_tasks {CELL.model}"] == 1


def test_gitlab_reads_every_line_whatever_a_model_is_called() -> None:
    cell = Cell('a "b" \\ #1\'s', "react")
    text = metrics_text(judge_run([task("pf", cell=cell)], GateSettings()))
    assert len(gitlab(text)) == len(values(text)) == sum(not line.startswith("#") for line in text.splitlines())
    assert gitlab(text)['agent_pass_at_1{model=a "b" \\ 1\'s,scaffold=react}'] == "0.5"
