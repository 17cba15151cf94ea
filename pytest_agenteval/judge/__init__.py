"""From numbers to verdicts: one for every gate and every judged task, with the reason in a sentence.

Some wanted attempts say nothing about the agent, because they are missing or broken. They are neither dropped nor
guessed: a gate on a pass rate is PASS or FAIL only if its worst and best case over them agree. Gates on the cost of
attempts and on tool-call failures judge the attempts that count. The gate on environment errors guards against too few
of those, and attempts that did not run at all leave such a gate UNDECIDED if they could turn it. If no attempt counts,
every gate is UNDECIDED, whatever its threshold. Every gate is judged cell by cell.

Pure: numbers in, verdicts and an exit status out. How they are shown belongs to `report`.
"""

from __future__ import annotations

from pytest_agenteval.judge.judging import judge
from pytest_agenteval.judge.pass_rates import judge_task
from pytest_agenteval.judge.result import GateResult
from pytest_agenteval.judge.thresholds import GateSettings
from pytest_agenteval.record.verdict import Verdict

__all__ = ["GateResult", "GateSettings", "Verdict", "judge", "judge_task"]
