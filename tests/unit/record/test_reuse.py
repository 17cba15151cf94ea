from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.made_logs import IDENTITY, log, stored, timed
from support.made_records import OTHER, attempt, model_call, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord
from pytest_agenteval.record.reuse import Reuse, newest_run, resume, reuse_note, top_up, without_outdated
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog, lent_to

NOW = [stored("t::a")]


def numbers(reuse: Reuse, task: str = "t::a") -> list[int]:
    return [record.number for record in reuse.taken[task].attempts] if task in reuse.taken else []


def answered(record: AttemptRecord, version: str) -> AttemptRecord:
    return replace(record, model_calls=(replace(model_call(0.01), version=version),))


def resumed(logs: list[StoredLog], now: RunIdentity = RunIdentity("now")) -> str | None:  # noqa: B008  it is frozen
    newest = newest_run(logs, NOW, now)
    return None if newest is None else newest.run


def test_a_resumed_run_keeps_what_counts_and_runs_the_rest_again() -> None:
    reuse = resume([log({"t::a": timed("pfec")}, ended=False)], "run", NOW, 4)
    assert numbers(reuse) == [1, 2]
    assert [record.outcome for record in reuse.taken["t::a"].discarded] == [Outcome.ENVIRONMENT_ERROR, Outcome.NOT_RUN]
    assert all(record.reused for record in reuse.taken["t::a"].attempts)


def test_only_the_run_itself_is_resumed() -> None:
    logs = [log({"t::a": timed("pp")}, run="old"), log({"t::a": timed("f", 2)}, run="new", hour=2)]
    assert resumed(logs) == "new"
    assert numbers(resume(logs, "new", NOW, 4)) == [1]


def test_a_resumed_run_keeps_what_it_took_of_others() -> None:
    topped_up = log({"t::a": timed("f", 2)}, run="new", hour=2, took=("old", "stopped", "changed"))
    changed = stored("t::a", identity=IDENTITY | {"the test's body": "b1"})
    others = [
        log({"t::a": timed("pe")}, run="old"),
        log({"t::a": timed("p")}, run="stopped", early_stop="exact"),
        log({"t::a": timed("p")}, run="changed", stored_tasks=(changed,)),
        log({"t::a": timed("p")}, run="nobody's"),
    ]
    lent = lent_to([topped_up], [*others, topped_up])
    assert [(each.run, each.lent) for each in lent] == [("old", True)]
    reuse = resume([topped_up, *lent], "new", NOW, 4)
    assert [record.outcome.value for record in reuse.taken["t::a"].attempts] == ["passed", "failed"]
    assert reuse.taken["t::a"].discarded == ()


def test_the_newest_run_is_one_that_has_the_tasks_in_their_cell() -> None:
    logs = [
        log({"t::a": []}, run="mine"),
        log({"t::a": []}, run="another model's", hour=2, stored_tasks=(stored("t::a", cell=OTHER),)),
        log({"u::z": []}, run="another suite's", hour=3),
    ]
    assert resumed(logs) == "mine"
    assert resumed(logs[1:]) is None


def test_the_run_of_the_same_name_and_shard_goes_on() -> None:
    logs = [
        log({"t::a": []}, run="ours", identity=RunIdentity("ci-7", named=True)),
        log({"t::a": []}, run="later", hour=2, identity=RunIdentity("ci-8", named=True)),
        log({"t::a": []}, run="a shard", hour=3, shard=(1, 3), identity=RunIdentity("ci-7", named=True, shard=(1, 3))),
    ]
    assert resumed(logs, RunIdentity("ci-7", named=True)) == "ours"
    assert resumed(logs, RunIdentity("ci-9", named=True)) == "later"
    assert resumed(logs, RunIdentity("ci-8", named=True, shard=(1, 3))) == "a shard"
    assert resumed(logs, RunIdentity("own", shard=(2, 3))) is None


def test_a_top_up_takes_all_runs_and_numbers_attempts_by_age() -> None:
    logs = [log({"t::a": timed("pf")}, run="old"), log({"t::a": timed("ffe", 2)}, run="new", hour=2)]
    reuse = top_up(logs, NOW, 8)
    assert numbers(reuse) == [1, 2, 3, 4]
    assert [record.outcome.value for record in reuse.taken["t::a"].attempts] == ["passed", "failed", "failed", "failed"]
    assert reuse.taken["t::a"].discarded == ()


def test_a_top_up_never_drops_attempts_that_are_too_many() -> None:
    assert len(numbers(top_up([log({"t::a": timed("ffffpppp")}, k=8)], NOW, 4))) == 8


def test_attempts_that_early_stopping_chose_are_not_pooled() -> None:
    reuse = top_up([log({"t::a": timed("pf")}, early_stop="exact")], NOW, 4)
    assert numbers(reuse) == []
    assert reuse.refused == ("2 attempts not reused: --agent-early-stop chose by outcome which attempts ran",)


def test_a_changed_part_is_named() -> None:
    changed = [stored("t::a", identity=IDENTITY | {"the test's body": "b1"})]
    reuse = resume([log({"t::a": timed("ppf")})], "run", changed, 4)
    assert numbers(reuse) == []
    assert reuse.refused == ("3 attempts not reused: the test's body has changed",)


def test_in_doubt_an_attempt_is_not_reused() -> None:
    doubtful = [stored("t::a", doubts=("helpers.py imports a module by a computed name",))]
    reuse = resume([log({"t::a": timed("pp")})], "run", doubtful, 4)
    assert numbers(reuse) == []
    assert "cannot be told whether the task is the same: helpers.py imports" in reuse.refused[0]
    assert (
        numbers(resume([log({"t::a": timed("pp")}, stored_tasks=(stored("t::a", identity={}),))], "run", NOW, 4)) == []
    )


def test_what_is_older_than_asked_for_is_not_reused() -> None:
    reuse = top_up([log({"t::a": timed("pp", 1) + timed("pp", 5)})], NOW, 4, "2026-01-01T04:00:00.000+00:00")
    assert len(numbers(reuse)) == 2
    assert reuse.refused == ("2 attempts not reused: older than --agent-max-age",)


def test_an_attempt_just_as_old_as_asked_for_is_reused() -> None:
    """They ended at 05:01 and 05:02."""
    reuse = resume([log({"t::a": timed("pf", 5)})], "run", NOW, 4, "2026-01-01T05:02:00.000+00:00")
    assert numbers(reuse) == [2]
    assert numbers(resume([log({"t::a": timed("pf", 5)})], "run", NOW, 4, "2026-01-01T05:01:00.000+00:00")) == [1, 2]


def test_of_several_versions_of_the_model_the_newest_is_taken() -> None:
    old, new = (answered(record, v) for record, v in zip(timed("pp"), ("gpt-1", "gpt-2"), strict=True))
    reuse = resume([log({"t::a": [old, new]})], "run", NOW, 4)
    assert numbers(reuse) == [2]
    assert "another version of the model since" in reuse.refused[0]


def test_reused_attempts_do_not_count_when_another_version_answers_now() -> None:
    reused = [replace(answered(record, "gpt-1"), reused=True) for record in timed("pp")]
    fresh = [answered(record, "gpt-2") for record in timed("pp", 2, first=3)]
    untouched = task_of(*reused, name="t::b")
    records, notes = without_outdated([task_of(*reused, *fresh, name="t::a"), untouched])
    assert [[attempt.cause for attempt in record.attempts] for record in records] == [
        [Cause.OUTDATED, Cause.OUTDATED, None, None],
        [Cause.OUTDATED, Cause.OUTDATED],
    ]
    assert "gpt-2 answers now, and gpt-1 did before" in notes[0]
    verdict = judge_run(records, GateSettings(min_pass_k=0.5))
    assert (verdict.status.code, verdict.run.cost.priced) == (10, 0.06)
    assert "met another version of the model" in verdict.status.reason


def test_the_budget_is_held_against_what_this_invocation_paid() -> None:
    before, now = (attempt("p", number, 0.40) for number in (1, 2))
    judged = judge_run([task_of(replace(before, reused=True), now)], GateSettings(max_cost=0.5))
    assert (judged.run.cost.priced, judged.run.paid_now.priced, judged.status.code) == (0.80, 0.40, 0)
    assert reuse_note(judged.records) == (
        "1 of 2 attempts were run by earlier invocations, which paid $0.400; this one paid $0.400"
    )


@given(st.lists(st.text("pflecb", max_size=5), min_size=1, max_size=4), st.integers(1, 8))
def test_reuse_looks_at_no_outcome_but_whether_it_counts(runs: list[str], k: int) -> None:
    def taken(letters: list[str]) -> list[tuple[int, str | None]]:
        logs = [log({"t::a": timed(each, hour)}, run=f"r{hour}", hour=hour) for hour, each in enumerate(letters, 1)]
        found = top_up(logs, NOW, k).taken
        return [(record.number, record.ended) for record in found["t::a"].attempts] if found else []

    swapped = [each.translate(str.maketrans("pf", "fp")) for each in runs]
    assert taken(runs) == taken(swapped)
    assert len(taken(runs)) == sum(each in "pfl" for letters in runs for each in letters)


def test_a_task_is_the_same_in_a_run_of_one_cell_and_in_one_of_several() -> None:
    alone = log({"t::a[3]": timed("pp")}, stored_tasks=(stored("t::a[3]"),))
    now = [stored("t::a[openai/gpt-5-mini-react-3]")]
    reuse = top_up([alone], now, 4)
    attempts = reuse.taken["t::a[openai/gpt-5-mini-react-3]"].attempts
    assert [(a.number, a.logged_task) for a in attempts] == [(1, "t::a[3]"), (2, "t::a[3]")]
