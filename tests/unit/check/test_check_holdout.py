from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.holdout import judge_holdout
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.record.outcomes import Outcome
from pytest_agenteval.record.records import Cell
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredLog, StoredTask, runs_with

WORDS = "Sort the lines of the file given.txt by their second column, and write what comes of it to the file {}."


def task(name: str, prompt: str = "", file: str = "a/t.py", family: str = "", holdout: str | None = None) -> Task:
    play = Played(Play("oracle-1", Role.ORACLE), Outcome.PASSED, prompt=prompt or f"Something about {name} alone.")
    return Task(name, file, 1, family=family or name, holdout=holdout, plays=(play,))


def said(*tasks: Task, **stored: dict[str, set[str]]) -> list[str]:
    found = judge_holdout(tasks, stored.get("looks", {}), stored.get("in_the_open", {}), 0.7)
    assert {each.rule for each in found} <= {"AE902"}
    return [each.message for each in found]


OPEN = task("open", WORDS.format("names.txt"), family="f")


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (task("held", WORDS.format("names.txt"), holdout="tasks"), "nearly the same as an open task: open"),
        (task("held", WORDS.format("towns.txt"), holdout="tasks"), "nearly the same as an open task: open"),
        (task("held", WORDS.format("names.txt"), holdout="samples"), "nearly the same as an open task: open"),
        (task("held", WORDS.format("towns.txt"), holdout="samples"), None),  # the template alone makes them similar
        (task("held", holdout="tasks", family="f"), "that is `samples`"),
        (task("held", holdout="domains"), "that is `tasks`"),
        (task("held", holdout="domains", file="b/t.py"), None),
        (task("held", holdout="tasks"), None),
    ],
)
def test_a_holdout_claims_no_more_than_it_holds(held: Task, told: str | None) -> None:
    found = said(OPEN, held)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_what_was_open_and_what_was_looked_at_too_often() -> None:
    held = task("held", holdout="tasks")
    assert said(OPEN, held, in_the_open={"held": {"1", "2"}}) == [
        "was not held out in 2 stored runs in which agents met it"
    ]
    assert said(OPEN, held, looks={"held": {str(run) for run in range(10)}}) == []
    [told] = said(OPEN, held, looks={"held": {str(run) for run in range(11)}})
    assert "looked at 11 times" in told


def test_a_large_suite_without_one_is_a_note() -> None:
    tasks = [task(f"t{number}") for number in range(10)]
    [finding] = judge_holdout(tasks, {}, {}, 0.7)
    assert finding.weight is Severity.NOTE
    assert said(*tasks[:9]) == []


def log(run: str, *tasks: StoredTask, named: bool = False, invocation: str = "i") -> StoredLog:
    return StoredLog(
        "x.eval", run, invocation, "", 1, True, tasks, identity=RunIdentity("ci-7", named) if named else None
    )


def test_a_run_is_one_look_however_many_cells_shards_and_parts_it_has() -> None:
    held = StoredTask("t", Cell("openai/gpt-5", "react"), held_out=True, name="t")
    other = replace(held, task="t[x]", cell=Cell("openai/gpt-5-mini", "react"))
    built_in = replace(held, cell=Cell("agenteval/noisy", "react"))
    logs = [
        log("one", held, other), log("one", held, invocation="resumed"), log("two", replace(held, held_out=False)),
        log("three", built_in), log("shard-1", held, named=True), log("shard-2", held, named=True),
    ]  # fmt: skip
    assert runs_with(logs, {"t", "u"}) == {"t": {"one", "two", "ci-7"}}
    assert runs_with(logs, {"t"}, held_out=False) == {"t": {"two"}}
