"""Whatever events k attempts met: the run judges them as `report` judges what its logs hold, in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from support.made_records import CELL

from pytest_agenteval.engine.logs.scorecard import record_of, score_of
from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import Judgement, judge_run
from pytest_agenteval.record.merge import merge
from pytest_agenteval.record.outcome_table import Exit, Facts, Loss, Raised, rule
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import AttemptRecord, TaskRecord, settle_skips
from pytest_agenteval.record.stored import StoredLog, StoredTask

EARLY = Facts(wants_agent=True)
LATE = replace(EARLY, agent_started=True)
EVENTS = {
    "passes": LATE,
    "skips": replace(EARLY, body=Exit(Raised.SKIP, text="no service")),
    "skips late": replace(LATE, body=Exit(Raised.SKIP, text="gave up")),
    "xfails early": replace(EARLY, body=Exit(Raised.XFAIL, text="known")),
    "xfails": replace(LATE, body=Exit(Raised.XFAIL, text="known")),
    "xfails at a limit": replace(LATE, body=Exit(Raised.XFAIL, text="known"), limit=Cause.COST),
    "returns a value": replace(LATE, body=Exit(Raised.RETURNED, text="a bool")),
    "fails": replace(LATE, body=Exit(text="AssertionError")),
    "breaks": replace(EARLY, body=Exit(text="KeyError")),
    "breaks in its teardown": replace(LATE, teardown=Exit(text="OSError")),
    "is cancelled by itself": replace(LATE, body=Exit(text="CancelledError")),
    "loses its sandbox": replace(LATE, body=Exit(text="gone"), loss=Loss(own=False, taken=True, reason="removed")),
    "ends its sandbox": replace(LATE, body=Exit(text="gone"), loss=Loss(own=True, taken=False, reason="memory")),
    "is stopped": replace(LATE, body=Exit(text="budget"), stopped=Cause.BUDGET),
}


@dataclass(frozen=True)
class Task:
    name: str
    events: tuple[str, ...]
    forgiven: tuple[bool, ...]
    """Per attempt whether the mark `xfail` has nothing against its exception."""
    marked: bool
    strict: bool
    rate: float | None

    def attempts(self) -> list[AttemptRecord]:
        made = []
        for number, (event, forgiven) in enumerate(zip(self.events, self.forgiven, strict=True), 1):
            ruling = rule(EVENTS[event])
            excused = True if ruling.excused else None if forgiven else False
            ended = f"2026-01-01T00:00:{number:02}"
            made.append(
                AttemptRecord(number, ruling.outcome, ruling.cause, ruling.message, excused=excused, ended=ended)
            )
        return made


@st.composite
def suites(draw: st.DrawFn) -> list[Task]:
    k = draw(st.integers(1, 5))
    some = draw(st.lists(st.sampled_from(list(EVENTS)), min_size=1, max_size=3, unique=True))
    return [
        Task(
            f"t.py::test_{i}",
            tuple(draw(st.lists(st.sampled_from(some), min_size=k, max_size=k))),
            tuple(draw(st.lists(st.booleans(), min_size=k, max_size=k))),
            marked := draw(st.booleans()),
            marked and draw(st.booleans()),
            draw(st.sampled_from((None, 0.0, 0.5, 1.0))),
        )
        for i in range(draw(st.integers(1, 3)))
    ]


thresholds = st.builds(
    GateSettings,
    min_pass_at_1=st.sampled_from((None, 0.0, 0.5, 1.0)),
    min_pass_k=st.sampled_from((None, 0.0, 0.5, 1.0)),
    max_env_error_rate=st.just(1.0),
)


def live(tasks: list[Task], gates: GateSettings) -> Judgement:
    records = [
        TaskRecord(
            task.name,
            CELL,
            len(task.events),
            settle_skips(task.attempts()),
            task.rate,
            expected_failure=task.marked,
            strict=task.strict,
        )
        for task in tasks
    ]
    return judge_run(records, gates)


def stored(tasks: list[Task], gates: GateSettings) -> Judgement:
    roster = tuple(
        StoredTask(t.name, CELL, t.rate, identity={"code": "1"}, expected_failure=t.marked, strict=t.strict)
        for t in tasks
    )
    read = [
        (task.name, record_of(score_of(each).metadata or {}, "a.eval")) for task in tasks for each in task.attempts()
    ]
    attempts = tuple((name, record) for name, record in read if record is not None)
    assert len(attempts) == len(read)
    log = StoredLog("a.eval", "r", "i", "2026-01-01", len(tasks[0].events), True, roster, attempts)
    return judge_run(merge([log]).records, gates)


def judged(judgement: Judgement) -> tuple[object, ...]:
    tasks = [(t.task, t.n, t.passes, t.skipped, t.broken, t.expected, t.unmeasured) for t in judgement.run.tasks]
    return judgement.status.code, judgement.gates, tasks


@given(suites(), thresholds)
@settings(deadline=None)
def test_the_logs_come_to_what_the_run_came_to(tasks: list[Task], gates: GateSettings) -> None:
    assert judged(live(tasks, gates)) == judged(stored(tasks, gates))


@given(suites(), thresholds, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_attempts_changes_no_verdict(tasks: list[Task], gates: GateSettings, random: object) -> None:
    def turned(task: Task) -> Task:
        pairs = list(zip(task.events, task.forgiven, strict=True))
        random.shuffle(pairs)  # type: ignore[attr-defined]
        events, forgiven = zip(*pairs, strict=True)
        return replace(task, events=events, forgiven=forgiven)

    one, other = live(tasks, gates), live([turned(task) for task in tasks], gates)
    assert (one.status, one.gates) == (other.status, other.gates)


@given(suites(), thresholds)
@settings(deadline=None)
def test_a_skip_never_helps(tasks: list[Task], gates: GateSettings) -> None:
    """An attempt that skips itself in the place of one that failed turns no verdict green, while another one ran."""
    for task in tasks:
        for place, event in enumerate(task.events):
            others = [*task.events[:place], *task.events[place + 1 :]]
            if event == "fails" and any(EVENTS[each].agent_started for each in others):
                skipping = replace(task, events=(*task.events[:place], "skips", *task.events[place + 1 :]))
                assert live([skipping], gates).status.code != 0


def test_logs_of_earlier_versions_are_judged_by_the_mark_alone() -> None:
    """They know of no `excused` and no `strict`."""
    roster = TypeAdapter(StoredTask).validate_python(
        {"task": "t.py::test_it", "cell": {"model": "m", "scaffold": "react"}, "expected_failure": True}
    )
    attempt = TypeAdapter(AttemptRecord).validate_python({"number": 1, "outcome": "failed", "exception": "KeyError"})
    log = StoredLog("a.eval", "r", "i", "2026-01-01", 1, True, (roster,), (("t.py::test_it", attempt),))
    judgement = judge_run(merge([log]).records, GateSettings())
    assert (judgement.status.code, judgement.gates[1:]) == (0, ())
    assert judgement.run.tasks[0].expected == "xfail"
