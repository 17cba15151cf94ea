"""What a run is held against: a verdict for every gate and every judged task, with the reason in a sentence.

Attempts that were wanted and say nothing about the agent (missing and broken ones) are neither dropped nor guessed: a
gate on a pass rate is PASS or FAIL only where their worst and best case agree. Gates on what attempts cost and on
tool-call failures have no such bounds; they judge the attempts that count, and the gate on environment errors holds
the floor under them. Where no attempt counts every gate is UNDECIDED, whatever its threshold. Every gate is judged
cell by cell.

Pure: numbers in, verdicts and an exit status out. How they are shown belongs to `report`.
"""

from __future__ import annotations

from pytest_agenteval.judge.judging import judge
from pytest_agenteval.judge.pass_rates import judge_task
from pytest_agenteval.judge.result import GateResult
from pytest_agenteval.judge.thresholds import GateSettings
from pytest_agenteval.record.verdict import Verdict

__all__ = ["GateResult", "GateSettings", "Verdict", "judge", "judge_task"]
