from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_logs import IDENTITY, log, stored, timed
from support.made_records import model_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.merge import Merged, fold, merge
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, TaskRecord
from pytest_agenteval.record.stored import StoredLog

LETTERS = {Outcome.PASSED: "p", Outcome.FAILED: "f", Outcome.LIMIT: "l", Outcome.ENVIRONMENT_ERROR: "e",
           Outcome.BROKEN: "b", Outcome.NOT_RUN: "n", Outcome.SKIPPED: "s"}  # fmt: skip


def spelt(record: TaskRecord) -> str:
    return "".join(LETTERS[attempt.outcome] for attempt in record.attempts)


def only(merged: Merged) -> TaskRecord:
    (record,) = merged.records
    return record


def versioned(attempts: list[AttemptRecord], version: str) -> list[AttemptRecord]:
    return [replace(a, model_calls=(replace(model_call(0.01), version=version),)) for a in attempts]


def test_a_resumed_run_is_one_run_in_which_money_is_counted_once() -> None:
    killed = log({"t::a": timed("p f", cost=0.10)}, ended=False)
    resumed = log({"t::a": timed("p", hour=2, first=2, cost=0.20) + timed("p", hour=3, first=4, cost=0.20)}, hour=2)
    record = only(merge([killed, resumed]))
    assert (spelt(record), record.cost) == ("ppfp", pytest.approx(0.10 * 2 + 0.20 * 2))


def test_what_was_begun_and_run_again_counts_for_its_cost_alone() -> None:
    stopped = log({"t::a": timed("pce", cost=0.10)}, k=3, ended=False)
    resumed = log({"t::a": timed("pf", hour=2, first=2, cost=0.20)}, k=3, hour=2)
    record = only(merge([stopped, resumed]))
    assert spelt(record) == "ppf"
    assert [attempt.outcome for attempt in record.discarded] == [Outcome.NOT_RUN, Outcome.ENVIRONMENT_ERROR]
    assert record.cost == pytest.approx(0.10 + 0.10 + 0.20 + 0.20)
    assert judge_run([record], GateSettings()).run.cells[0].environment_errors.count == 0


def test_the_newest_end_of_an_attempt_that_never_counted_stays_in_sight() -> None:
    record = only(merge([log({"t::a": timed("ee")}, k=2), log({"t::a": timed(" c", hour=2)}, k=2, hour=2)]))
    assert [(a.number, a.outcome) for a in record.attempts] == [(1, Outcome.ENVIRONMENT_ERROR), (2, Outcome.NOT_RUN)]


def test_two_writers_that_ran_the_same_attempt_lose_none() -> None:
    first, second = log({"t::a": timed("pf")}, k=2), log({"t::a": timed("fp", hour=2)}, k=2, hour=2)
    record = only(merge([first, second]))
    assert (spelt(record), [attempt.number for attempt in record.attempts]) == ("pffp", [1, 2, 3, 4])


def test_a_log_that_was_copied_counts_once() -> None:
    original = log({"t::a": timed("pf")}, k=2)
    assert spelt(only(merge([original, replace(original, path="copy.eval")]))) == "pf"


def test_attempts_at_a_task_that_has_changed_are_left_out_and_named() -> None:
    then = log({"t::a": timed("ffff")})
    now = log({"t::a": timed("pp", hour=2)}, k=2, hour=2,
              stored_tasks=(stored("t::a", identity=IDENTITY | {"its image": "i1"}),))  # fmt: skip
    merged = merge([then, now])
    assert spelt(only(merged)) == "pp"
    assert merged.notes == ("4 attempts at t::a left out: its image has changed since",)


def test_attempts_that_another_version_of_the_model_made_are_left_out_of_its_run() -> None:
    then = log({"t::a": versioned(timed("ff"), "gpt-1"), "t::b": versioned(timed("ff"), "gpt-1")}, k=2)
    now = log({"t::a": versioned(timed("pp", hour=2), "gpt-2")}, k=2, hour=2)
    merged = merge([then, now])
    assert {record.task: spelt(record) for record in merged.records} == {"t::a": "pp", "t::b": ""}
    assert "4 attempts with openai/gpt-5-mini · react left out: another version of the model" in merged.notes[0]


def test_a_run_that_stopped_early_and_ended_needs_no_more() -> None:
    record = only(merge([log({"t::a": timed("f")}, early_stop="exact")]))
    assert [attempt.cause for attempt in record.attempts[1:]] == [Cause.DECIDED] * 3


def test_a_run_that_stopped_early_and_was_killed_is_incomplete() -> None:
    merged = merge([log({"t::a": timed("f")}, early_stop="exact", ended=False)])
    assert len(only(merged).attempts) == 1
    assert judge_run(merged.records, GateSettings(min_pass_k=0.0)).status.code == 10


def test_attempts_without_a_trace_after_a_spent_budget_were_not_paid_for() -> None:
    record = only(merge([log({"t::a": timed("pn")})]))
    assert [attempt.cause for attempt in record.attempts] == [None, Cause.BUDGET, Cause.BUDGET, Cause.BUDGET]


def test_a_missing_shard_makes_the_verdict_incomplete() -> None:
    merged = merge([log({"t::a": timed("pppp")}, shard=(1, 3))])
    assert merged.incomplete == ("shards 2 and 3 of 3 are missing",)
    assert judge_run(merged.records, GateSettings(), incomplete=merged.incomplete).status.code == 10


def test_a_suite_that_never_began_is_missed() -> None:
    merged = merge([log({"t.py::a": timed("pppp")}, suite="t.py", suites={"t.py": 1, "u.py": 7})])
    assert merged.incomplete == ("no attempt at 7 tasks of u.py is there",)


def test_other_k_judges_the_same_attempts() -> None:
    logs = [log({"t::a": timed("pppf"), "t::b": timed("pppp")})]
    # by hand: C(3,2)/C(4,2) = 1/2 and 1; C(3,4)/C(4,4) = 0 and 1
    assert judge_run(merge(logs, 2).records, GateSettings()).run.cells[0].pass_hat_k.value == 0.75
    assert judge_run(merge(logs, 4).records, GateSettings()).run.cells[0].pass_hat_k.value == 0.5


outcomes = st.text("pflecbn ", min_size=1, max_size=6)
unbounded = st.text("pflecb ", min_size=1, max_size=6)
"""Without a budget, which each shard has for itself."""
runs = st.lists(st.lists(outcomes, min_size=3, max_size=3), min_size=1, max_size=3)


@given(runs, st.integers(1, 6))
def test_no_attempt_that_counts_is_lost_or_counted_twice(invocations: list[list[str]], k: int) -> None:
    logs = [
        log({f"t::{task}": timed(letters, hour) for task, letters in zip("abc", tasks, strict=True)}, hour=hour, k=k)
        for hour, tasks in enumerate(invocations, 1)
    ]
    for index, record in enumerate(merge(logs).records):
        there = [a for tasks in invocations for a in tasks[index] if a in "pfl"]
        assert sorted(spelt(record).translate(str.maketrans("", "", "ebns"))) == sorted(there)
        numbers = [attempt.number for attempt in record.attempts]
        assert numbers == sorted(set(numbers))
        assert len(record.attempts) <= max(k, len(there))


@given(st.lists(unbounded, min_size=1, max_size=9), st.lists(st.integers(1, 3), min_size=9, max_size=9))
def test_merged_shards_say_what_one_run_says(tasks: list[str], shards: list[int]) -> None:
    def whole(which: int | None) -> dict[str, list[AttemptRecord]]:
        wanted = [(n, letters) for n, letters in enumerate(tasks) if which in (None, shards[n])]
        return {f"t::{n}": timed(letters) for n, letters in wanted}

    parts: list[StoredLog] = [log(whole(part), run=f"r{part}", shard=(part, 3)) for part in (1, 2, 3)]
    merged, one = merge(parts), merge([log(whole(None))])
    asked = GateSettings(min_pass_k=0.5, max_env_error_rate=0.2)
    ours, theirs = (judge_run(sorted(m.records, key=lambda r: r.task), asked) for m in (merged, one))
    assert merged.incomplete == ()
    assert (ours.run, ours.gates, ours.status) == (theirs.run, theirs.gates, theirs.status)


def test_an_attempt_keeps_its_number_where_it_can() -> None:
    attempts, _ = fold([*timed(" p", 1), *timed("fp", 2)], k=3)
    assert [(attempt.number, attempt.ended and attempt.ended[11:16]) for attempt in attempts] == [
        (1, "02:01"), (2, "01:02"), (3, "02:02"),
    ]  # fmt: skip
