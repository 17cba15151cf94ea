from __future__ import annotations

import random
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.check.facts import Played, Task, Texts
from pytest_agenteval.check.findings import Finding, Mutants, Status
from pytest_agenteval.check.judging import Verdicts
from pytest_agenteval.check.leaks import judge_leaks
from pytest_agenteval.check.mutation import DAMAGE, WHOLE_PART, mutants, sampled
from pytest_agenteval.check.plays import Level, Play, Role, Steps
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.check.states import ENVIRONMENT
from pytest_agenteval.check.survivors import judge_mutants, mutants_of, to_confirm
from pytest_agenteval.record.outcomes import Cause, Outcome

PATCH = """git apply <<'END'
diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,4 +1,5 @@
 def add(a, b):
-    return a - b
+    total = a + b
+    return total

 # end
END"""


def damaged(operator: str, text: str, folder: Path) -> str:
    (folder / "it's F.txt").write_text(text)
    [play] = [play for play in mutants((), "", ["./it's F.txt"], []) if play.operator == operator]
    subprocess.run(["sh", "-c", play.after], cwd=folder, check=True)
    file = folder / "it's F.txt"
    return file.read_text() if file.exists() else "gone"


@pytest.mark.parametrize(
    ("operator", "text", "left"),
    [
        ("file-deleted", "a\n", "gone"),
        ("file-empty", "a\n", ""),
        ("first-line-lost", "a\nb\n", "b\n"),
        ("last-line-lost", "a\nb\n", "a\n"),
        ("cut-in-half", "abcd", "ab"),
        ("last-line-twice", "a\nb\n", "a\nb\nb\n"),
        ("lines-reversed", "a\nb\n", "b\na\n"),
        ("number-off-by-one", "a 1\nb 19 c 009 d\nend\n", "a 1\nb 19 c 10 d\nend\n"),
        ("number-off-by-one", "none\n", "none\n"),
        ("case-swapped", "Ab\n", "aB\n"),
    ],
)
def test_each_damage_does_what_its_name_says(operator: str, text: str, left: str, tmp_path: Path) -> None:
    assert damaged(operator, text, tmp_path) == left


def test_damage_harmless_to_code_is_not_done_to_code() -> None:
    assert {play.operator for play in mutants((), "", ["./a.py"], [])} == DAMAGE.keys() - {"last-line-twice"}


def steps_of(steps: Steps, answer: str = "", vocabulary: Any = ()) -> Counter[str]:
    return Counter(play.operator for play in mutants(steps, answer, [], [], vocabulary))


def test_variants_of_steps_answers_and_calls() -> None:
    assert steps_of(("a", "b", "c")) == {"drop-step": 3, "stop-after": 1, "swap-steps": 2}  # stopping at 2 drops step 3
    assert steps_of(("sort -u x | head -n 5 > y",)) == {"flip": 1, "number": 1, "wrong-file": 1, "drop-stage": 2}
    kinds = {"answer-empty": 1, "answer-hedged": 1, "answer-negated": 1, "answer-half": 1, "answer-number": 1}
    assert steps_of((), "$43.") == kinds
    call = ("cancel", {"order": 7})
    assert steps_of((call,), "", [call, ("cancel", {"order": 9})]) == {"argument": 3, "repeat-call": 1, "extra-call": 1}


def test_variants_of_a_patch_still_apply(tmp_path: Path) -> None:
    made = mutants((PATCH,), "", [], [])
    assert Counter(play.operator for play in made) == {"revert-run": 1, "drop-line": 2, "flip": 1}
    results = set()
    for play in made:
        (tmp_path / "calc.py").write_text("def add(a, b):\n    return a - b\n\n# end\n")
        done = subprocess.run(["sh", "-c", str(play.steps[0])], cwd=tmp_path, capture_output=True, text=True)
        results.add((tmp_path / "calc.py").read_text())
        assert done.returncode == 0 or play.operator == "revert-run", done.stderr  # nothing is left to apply
    assert len(results) == 4


def test_the_same_seed_draws_the_same_mutants_and_misses_no_whole_part() -> None:
    made = mutants(("make 1", "make 2", "make 3"), "done", ["./a", "./b"], [])
    chosen = sampled(made, 12, 0)
    assert chosen == sampled(made, 12, 0) != sampled(made, 12, 1)
    assert len(chosen) == 12
    whole = {play.name for play in made if play.operator in WHOLE_PART}
    assert whole <= {play.name for play in chosen}
    assert sampled(made, None, 0) == made


START = {"./in": "1", "./kept.py": "1"}
END = {"./in": "1", "./kept.py": "1", "./out": "2"}


def oracle(name: str = "oracle-1", **more: Any) -> Played:
    play = Play(name, Role.ORACLE, ("work",))
    return Played(play, Outcome.PASSED, **{"start": START, "end": END, "prompt": "Write out.", **more})


def mutant(operator: str, outcome: Outcome = Outcome.PASSED, end: Any = None, file: str = "", **more: Any) -> Played:
    play = Play(f"{operator}{file}", Role.MUTANT, after="x" if file else "", operator=operator, file=file)
    return Played(play, outcome, end=END if end is None else end, **more)


def judged(*plays: Played, prompt: str = "Write out.") -> tuple[list[Finding], Mutants | None, dict[str, Status]]:
    """What comes of it where every survivor survives again."""
    task = Task("t", "t.py", 1, plays=(oracle(prompt=prompt), *plays))
    verdicts = Verdicts(task)
    again = [Played(play, Outcome.PASSED) for play in to_confirm(task)]
    count = judge_mutants(verdicts, 0.8, len(plays), again)
    return verdicts.findings, count, verdicts.assessed


OTHER = {**END, "./out": "3"}


@pytest.mark.parametrize(
    ("played", "counts"),
    [
        (mutant("number", Outcome.FAILED, OTHER), Mutants(1, 0, 0, 0, 1)),
        (mutant("number", end=OTHER), Mutants(0, 1, 0, 0, 1)),
        (mutant("number"), Mutants(0, 0, 1, 0, 1)),  # the same end state: no checker could tell
        (mutant("lines-reversed", file="./out"), Mutants(0, 0, 0, 1, 1)),  # of one line: not applied
        (mutant("number", Outcome.LIMIT, OTHER), Mutants(0, 0, 0, 1, 1)),
        (mutant("number", Outcome.FAILED, OTHER, cause=Cause.GRADING_TIME), Mutants(0, 0, 0, 1, 1)),
        (mutant("number", Outcome.ENVIRONMENT_ERROR, OTHER), Mutants(0, 0, 0, 1, 1)),
        (mutant("number", end={**END, "./t": "9"}), Mutants(0, 1, 0, 0, 1)),
    ],
)
def test_what_counts(played: Played, counts: Mutants) -> None:
    assert judged(played)[1] == counts


def test_what_differs_between_plays_of_the_solution_is_no_difference() -> None:
    later = oracle("oracle-2", end={**END, "./t": "1"})
    assert judged(later, mutant("number", end={**END, "./t": "9"}))[1] == Mutants(0, 0, 1, 0, 2)


def test_a_slower_machine_turns_no_killed_into_survived_nor_back() -> None:
    """Whatever more runs into a clock, a limit of the agent or the environment, says nothing; the rest stays."""
    slow: list[dict[str, Any]] = [
        {"outcome": Outcome.LIMIT, "cause": Cause.TIME},
        {"outcome": Outcome.FAILED, "cause": Cause.GRADING_TIME},
        {"outcome": Outcome.FAILED, "exception": "TimeoutError"},
        {"outcome": Outcome.ENVIRONMENT_ERROR, "cause": Cause.SANDBOX},
    ]
    draw = random.Random(0)
    for _ in range(200):
        outcomes = draw.choices([Outcome.FAILED, Outcome.PASSED], k=8)
        plays = [
            replace(played, play=replace(played.play, name=f"m{at}"))
            for at, played in enumerate(mutant("number", each, OTHER) for each in outcomes)
        ]
        slower = [replace(each, **draw.choice(slow)) if draw.random() < 0.4 else each for each in plays]
        fast, late = judged(*plays)[1], judged(*slower)[1]
        assert fast is not None and late is not None
        same = [each for each, before in zip(slower, plays, strict=True) if each is before]
        assert late.killed == sum(each.outcome is Outcome.FAILED for each in same)
        assert late.survived == sum(each.passed for each in same)
        assert late.dropped == len(plays) - len(same)
        assert fast.dropped == 0


HOST = "the fixture end_state: orders"


@pytest.mark.parametrize(
    ("end", "other", "counts"),
    [
        (END, END, Mutants(0, 1, 0, 0, 1)),  # the sandbox is the same, and nobody knows what the tools did
        ({**END, HOST: "1"}, {**END, HOST: "1"}, Mutants(0, 0, 1, 0, 1)),
        ({**END, HOST: "1"}, {**END, HOST: "2"}, Mutants(0, 1, 0, 0, 1)),
    ],
)
def test_what_tools_do_to_the_host_is_known_where_end_state_shows_it(end: Any, other: Any, counts: Mutants) -> None:
    call = ("cancel", {"order": 1})
    passed = Played(Play("oracle-1", Role.ORACLE, (call, call)), Outcome.PASSED, start=START, end=end)
    once = Played(Play("drop-step", Role.MUTANT, (call,), operator="drop-step"), Outcome.PASSED, end=other)
    task = Task("t", "t.py", 1, plays=(passed, once))
    assert judge_mutants(Verdicts(task), 0.8, 1, [Played(play, Outcome.PASSED) for play in to_confirm(task)]) == counts


def test_a_lost_mutant_leaves_the_score_undecided() -> None:
    _, _, assessed = judged(mutant("number", Outcome.ENVIRONMENT_ERROR), mutant("flip", Outcome.FAILED, OTHER))
    assert assessed["AE301"] is assessed["AE302"] is Status.UNDECIDED


def test_a_file_that_nobody_asked_for_and_nobody_reads_is_scratch() -> None:
    gone = mutant("file-deleted", end=START, file="./out")
    half = mutant("cut-in-half", end=OTHER, file="./out")
    assert judged(gone, half, prompt="Do it.")[1] == Mutants(0, 0, 0, 2, 2)
    findings, count, _ = judged(gone, half)  # the prompt names it: one finding says that nobody reads it
    assert count == Mutants(0, 1, 0, 1, 2)
    assert [(each.rule, each.severity) for each in findings if each.rule == "AE302"] == [("AE302", Severity.ERROR)]


def test_a_survivor_that_fails_when_played_alone_is_not_believed() -> None:
    task = Task("t", "t.py", 1, plays=(oracle(), mutant("number", end=OTHER)))
    verdicts = Verdicts(task)
    again = [Played(play, Outcome.FAILED) for play in to_confirm(task)]
    assert judge_mutants(verdicts, 0.8, 1, again) == Mutants(0, 0, 0, 1, 1)
    assert verdicts.findings == []


def test_a_missing_step_is_an_error_and_a_changed_number_a_warning() -> None:
    findings, _, _ = judged(mutant("drop-step", end=OTHER), mutant("number", end=OTHER))
    weights = {finding.subject: finding.weight for finding in findings if finding.rule == "AE302"}
    assert weights == {"drop-step": Severity.ERROR, "number": Severity.WARNING}


def test_a_low_score_is_an_error_where_enough_mutants_count() -> None:
    survivors = [mutant(f"number{n}", end=OTHER) for n in range(3)]
    killed = [mutant(f"flip{n}", Outcome.FAILED, OTHER) for n in range(2)]
    [low] = [finding for finding in judged(*survivors, *killed)[0] if finding.rule == "AE301"]
    assert (low.severity, low.message) == (Severity.ERROR, "2 of 5 wrong variants failed; at least 80% are asked for")
    assert not [finding for finding in judged(*killed)[0] if finding.rule == "AE301"]


@pytest.mark.parametrize(
    ("prompt", "weight"), [("Write out.", Severity.NOTE), ("Write out. Nothing else changes.", Severity.ERROR)]
)
def test_damage_beside_the_task_is_an_error_where_the_prompt_forbids_it(prompt: str, weight: Severity) -> None:
    beside = mutant("other-file-deleted", end=OTHER, file="./kept.py")
    findings, count, assessed = judged(beside, prompt=prompt)
    assert [(each.rule, each.weight) for each in findings] == [("AE303", weight)]
    assert count == Mutants(0, 0, 0, 0, 1)
    assert assessed["AE303"] is Status.FINDING or assessed["AE303"] is Status.OK


def test_only_tasks_with_a_sound_solution_are_mutated() -> None:
    def names(*plays: Played, level: Level = Level.DEEP) -> set[str]:
        made = mutants_of(Task("t", "t.py", 1, ("work",), "42", plays=plays), level, ())
        return {play.file for play in made if play.file}

    null = Played(Play("null", Role.NULL), Outcome.FAILED)
    assert names(oracle(), null) == {"./out", "./in", "./kept.py"}
    assert names(oracle(), null, level=Level.STANDARD) == {"./out"}
    assert names(oracle(prompt="Leave in as it is."), level=Level.STANDARD) == {"./out", "./in", "./kept.py"}
    assert names(oracle(), replace(null, outcome=Outcome.PASSED)) == set()
    assert names(oracle(), replace(oracle(), outcome=Outcome.FAILED)) == set()
    assert names(oracle(), oracle("oracle-2", end={**END, "./out": "4"})) == {"./in", "./kept.py"}  # volatile


LINES = "\n".join(f"line number {n}" for n in range(6))


@pytest.mark.parametrize(
    ("start", "prompt", "answer", "leaks"),
    [
        ({"./in": "nothing"}, "Write out.", "", []),
        ({"./tests/data": LINES}, "Write out.", "", [("AE401", Severity.ERROR)]),
        ({"./tests/data": LINES}, "Make out from data.", "", [("AE401", Severity.NOTE)]),  # moving it is the work
        ({"./expected/out": LINES}, "Write out.", "", [("AE401", Severity.ERROR)]),  # it names what is to be made
        ({"./expected/out": LINES}, "Copy expected/out to out.", "", [("AE401", Severity.NOTE)]),
        ({"./tests/data": LINES[:58]}, "Write out.", "", [("AE401", Severity.NOTE)]),
        ({"./.git 0123": LINES}, "Write out.", "", [("AE402", Severity.ERROR)]),
        ({ENVIRONMENT: "X=1\nHINT=seq 6 | sed 's/^/line number /' > out"}, "Write.", "", [("AE403", Severity.ERROR)]),
        ({}, "Write out: seq 6 | sed 's/^/line number /' > out", "", [("AE404", Severity.ERROR)]),
        ({"./answer.key": "it is 4711"}, "Say it.", "4711", [("AE401", Severity.ERROR)]),
        ({ENVIRONMENT: "EXPECTED=4711"}, "Say it.", "4711", [("AE403", Severity.ERROR)]),
        ({"./log": "it is 4711"}, "Say it.", "4711", []),  # to find it is the work
    ],
)
def test_leaks(start: dict[str, str], prompt: str, answer: str, leaks: list[tuple[str, Severity]]) -> None:
    steps = ("seq 6 | sed 's/^/line number /' > out",)
    texts = Texts(start, {**start, "./out": LINES})
    verdicts = Verdicts(Task("t", "t.py", 1, steps, answer, plays=(oracle(prompt=prompt, texts=texts),)))
    judge_leaks(verdicts)
    assert [(each.rule, each.weight) for each in verdicts.findings] == leaks
    assert verdicts.assessed.get("AE403") == (Status.OK if ENVIRONMENT in start else None)
