"""Which stored attempts are a sample of what agents can do."""

from __future__ import annotations

from support.made_logs import log, stored, timed
from support.made_records import CELL

from pytest_agenteval.check.suite import counted
from pytest_agenteval.options.values import EarlyStop
from pytest_agenteval.record.perturbed import Perturbed

TASK, UNDER = "t.py::test_it", "t.py::test_it[exec-faults]"


def test_early_stops_and_perturbed_attempts_are_no_sample() -> None:
    perturbed = stored(UNDER, perturbed=Perturbed("exec-faults", "exec-faults", TASK, 2))
    logs = [
        log({TASK: timed("ppf")}),
        log({TASK: timed("ff")}, hour=2, early_stop=EarlyStop.EXACT),
        log({UNDER: timed("ff")}, hour=3, stored_tasks=(perturbed,)),
    ]
    assert counted(logs) == {TASK: {str(CELL): (3, 2)}}
    assert counted(logs, lambda name, source: False) == {}
