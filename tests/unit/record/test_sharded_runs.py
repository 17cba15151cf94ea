"""Runs cut into shards: the verdict of the merge is that of the whole, or it is open where a lost shard could turn it.

`bench_shards.py` does the same ten thousand times.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_logs import log, stored, timed
from support.sharded_runs import wrong

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.merge import merge
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.runs import differences_named, shards_left_out, stored_runs
from pytest_agenteval.record.stored import StoredLog, StoredTask

ROLL = tuple(stored(f"t.py::test_{n}", source="one") for n in range(8))
PARTS = {1: (0, 2, 3, 4), 2: (5, 6), 3: (1, 7)}
"""The tasks of each shard, by the digests of their names."""


def shard(part: int, letters: str = "pp", hour: int = 1, run: str = "ours", **fields: object) -> StoredLog:
    identity = RunIdentity(run, named=True, commit=str(fields.pop("commit", "c0")))
    tasks = {ROLL[n].task: timed(letters, hour, run=f"{run}{hour}{part}") for n in PARTS[part]}
    given: dict[str, object] = {"roll": ROLL, "identity": identity, "k": 2, **fields}
    tests: tuple[StoredTask, ...] = tuple(ROLL[n] for n in PARTS[part])
    return log(tasks, run=f"{run}-{part}-{hour}", hour=hour, shard=(part, 3), stored_tasks=tests, **given)  # type: ignore[arg-type]


def judged(logs: list[StoredLog], **gates: float) -> Judgement:
    found = merge(stored_runs(logs)[0].logs)
    return judge_run(found.records, GateSettings(**gates), incomplete=found.incomplete)


@given(st.randoms(use_true_random=False))
def test_the_verdict_is_that_of_the_whole_or_open(random: Random) -> None:
    assert wrong(random) is None


@pytest.mark.parametrize(("asked", "verdict"), [(0.51, "UNDECIDED"), (0.5, "PASS"), (0.0, "PASS")])
def test_bounds_are_taken_over_the_tasks_of_a_missing_shard(asked: float, verdict: str) -> None:
    """By hand: shards 2 and 3 pass 8 of 8 attempts, the first would have had 8 more: between 8/16 and 16/16."""
    judgement = judged([shard(2), shard(3)], min_pass_at_1=asked)
    assert judgement.gates[0].verdict == verdict
    assert judgement.status.code == 10
    assert judgement.run.incomplete == ("shard 1 of 3 is missing", "8 attempts did not run")


def test_a_gate_that_the_missing_shard_cannot_save_fails() -> None:
    judgement = judged([shard(2, "ff"), shard(3, "ff")], min_pass_at_1=0.51)
    assert judgement.status.code == 1
    assert judgement.status.reason == (
        "FAILED, and incomplete (shard 1 of 3 is missing; 8 attempts did not run): --min-pass-at-1"
    )


def test_a_task_of_a_missing_shard_that_asks_for_a_rate_of_its_own_is_undecided() -> None:
    judgement = judged([shard(2), shard(3)])
    assert {gate.task: str(gate.verdict) for gate in judgement.gates if gate.task} == {
        task.task: "UNDECIDED" if n in PARTS[1] else "PASS" for n, task in enumerate(ROLL)
    }


def test_records_are_in_the_order_of_the_tests_however_the_shards_come() -> None:
    found = merge([shard(3, hour=1), shard(1, hour=2), shard(2, hour=3)])
    assert [record.task for record in found.records] == [task.task for task in ROLL]


def test_money_of_attempts_that_left_no_record_is_unknown() -> None:
    judgement = judged([shard(2), shard(3)], max_cost=100.0, max_cost_per_attempt=100.0, max_tool_failure_rate=1.0)
    said = {gate.name: gate for gate in judgement.gates if gate.task is None}
    assert [str(said[name].verdict) for name in ("--max-cost", "--agent-max-cost-per-attempt")] == ["UNDECIDED"] * 2
    assert said["--max-cost"].reason == "what 8 attempts cost that left no record is not known"
    assert said["--agent-max-cost-per-attempt"].reason.endswith("and 8 attempts did not run")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"run": "theirs"}, "the name of the run"),
        ({"commit": "c1"}, "the commit"),
        ({"setup": "temperature=1"}, "the setup"),
        ({"k": 3}, "k"),
        ({"roll": (*ROLL[:7], stored("t.py::test_7", source="two"))}, "the code or selection of the tests"),
    ],
    ids=["name", "commit", "setup", "k", "body"],
)
def test_a_shard_of_another_run_fills_no_gap_and_is_named(other: dict[str, object], why: str) -> None:
    runs = stored_runs([shard(1, hour=1, **other), shard(2, hour=2), shard(3, hour=2)])  # type: ignore[arg-type]
    assert [run.shards for run in runs] == [{(2, 3), (3, 3)}, {(1, 3)}]
    [said] = shards_left_out(runs[:1], runs[1:])
    assert said.startswith("shard 1 of 3 of the run ")
    assert said.endswith(f"left out: it differs in {why}")
    [difference] = differences_named(runs)
    assert difference.startswith(f"taken together, although {why} differs: ")


def test_a_test_whose_body_is_another_one_in_the_newest_log_is_not_mixed_in() -> None:
    changed = (*ROLL[:4], stored("t.py::test_4", source="two"), *ROLL[5:])
    found = merge([shard(1), shard(2, hour=2, roll=changed), shard(3, hour=2, roll=changed)])
    assert {record.task: record.n for record in found.records} == {
        task.task: 0 if n == 4 else 2 for n, task in enumerate(ROLL)
    }
    assert found.notes == ("2 attempts at t.py::test_4 left out: its test function has changed since",)
    judgement = judge_run(found.records, GateSettings(min_pass_at_1=0.0))
    assert judgement.status.code == 10


def test_a_shard_that_ran_twice_in_one_run_counts_with_all_its_attempts() -> None:
    """Started again until it passes, it does not lose the attempts that failed."""
    [run] = stored_runs([shard(1, "ff", hour=1), shard(1, "pp", hour=2), shard(2), shard(3)])
    record = next(record for record in merge(run.logs).records if record.task == "t.py::test_4")
    assert (record.n, record.passes) == (4, 2)


def test_what_was_killed_and_has_run_again_is_not_held_against_the_run() -> None:
    killed = shard(1, "p", hour=1, ended=False, suite="t.py")
    again = shard(1, "pp", hour=2, suite="t.py")
    assert "the run of t.py did not come to its end" in merge([killed, shard(2), shard(3)]).incomplete
    assert merge([killed, again, shard(2), shard(3)]).incomplete == ()


def test_of_a_shard_that_stopped_early_twice_the_newest_counts() -> None:
    logs = [shard(1, "f", hour=1, early_stop="exact"), shard(1, "pp", hour=2, early_stop="exact")]
    assert [[log.created[11:13] for log in run.logs] for run in stored_runs(logs)] == [["02"], ["01"]]


def nameless(part: int, hour: int, **fields: object) -> StoredLog:
    identity = RunIdentity(f"own-{hour}-{part}", commit="c0")
    return shard(part, hour=hour, run=f"own{hour}", **({"identity": identity} | fields))  # type: ignore[arg-type]


def test_without_names_shards_go_together_back_to_the_first_that_is_there_twice() -> None:
    logs = [*(nameless(part, 1) for part in (1, 2, 3)), *(nameless(part, 2) for part in (2, 3))]
    assert [sorted(run.shards) for run in stored_runs(logs)] == [[(2, 3), (3, 3)], [(1, 3), (2, 3), (3, 3)]]


def test_without_names_and_with_nothing_to_choose_a_setup_may_differ_and_is_named() -> None:
    runs = stored_runs([nameless(1, 3, setup="seed=2"), nameless(2, 1), nameless(3, 2)])
    assert [sorted(run.shards) for run in runs] == [[(1, 3), (2, 3), (3, 3)]]
    assert differences_named(runs) == [
        "taken together, although the setup differs: default settings (shards 2 and 3 of 3); seed=2 (shard 1 of 3)"
    ]


def test_logs_from_before_there_were_names_go_by_the_number_of_their_shards() -> None:
    old = [shard(part, hour=hour, identity=None, roll=()) for hour, part in ((1, 1), (1, 2), (2, 2), (2, 3))]
    assert [sorted(run.shards) for run in stored_runs(old)] == [[(1, 3), (2, 3), (3, 3)], [(2, 3)]]
