"""Seeded tiny sessions of control events: the live verdict, that of `report`, and the documented rules must agree.

AGENTEVAL_FUZZ_SEED and AGENTEVAL_FUZZ_SESSIONS choose other sessions, and more of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from support.many_sessions import Played, Session, play

SEED = int(os.environ.get("AGENTEVAL_FUZZ_SEED", "9"))
SESSIONS = int(os.environ.get("AGENTEVAL_FUZZ_SESSIONS", "300"))

HEAD = """
import asyncio, sys, unittest
import pytest
from pytest_agenteval import agent_task

@pytest.fixture
def stage(attempt):
    events = []
    yield events
    if "teardown" in events: raise OSError("teardown")

async def act(attempt, stage, event):
    stage.append(event)
    if event == "broken": raise KeyError("early")
    if event == "skip": pytest.skip("early")
    if event == "SkipTest": raise unittest.SkipTest("early")
    if event == "early xfail": pytest.xfail("early")
    attempt.agent_begins()
    await asyncio.sleep(0)
    if event == "late skip": pytest.skip("late")
    if event == "xfail": pytest.xfail("known")
    if event == "fail": assert attempt.number < 0
    if event == "KeyError": raise KeyError("late")
    if event == "exit": sys.exit(0)
    if event == "return": return 5
    if event == "cancel":
        asyncio.current_task().cancel()
        await asyncio.sleep(0)
"""
LETTERS = {
    "pass": "p", "return": "p", "fail": "f", "KeyError": "K", "exit": "f", "cancel": "f", "xfail": "x",
    "skip": "s", "SkipTest": "s", "early xfail": "s", "late skip": "b", "broken": "b", "teardown": "b",
}  # fmt: skip
"""p passes, f and K (a KeyError) fail, x fails as it says itself, s skips itself, b is broken."""
MARKS = {"": "", "xfail": "@pytest.mark.xfail", "strict": "@pytest.mark.xfail(strict=True)",
         "raises": "@pytest.mark.xfail(raises=KeyError)"}  # fmt: skip


AROUND = ("", "", "", "skip", "error", "hook")
"""What happens around a task's attempts: its set-up skips or fails, or a conftest fails it when pytest reports it."""
CONFTEST = """
import pytest
AROUND = {around!r}

def pytest_runtest_setup(item):
    if AROUND[item.name] == "skip": pytest.skip("in set-up")
    if AROUND[item.name] == "error": raise OSError("in set-up")

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and AROUND[item.name] == "hook": report.outcome, report.longrepr = "failed", "soft check"
    return report
"""


@dataclass(frozen=True)
class Task:
    events: tuple[str, ...]
    mark: str
    rate: float | None
    around: str = ""


@dataclass(frozen=True)
class Plan:
    k: int
    tasks: tuple[Task, ...]
    min_pass_k: float | None
    min_pass_at_1: float | None
    early_stop: str | None
    concurrency: int

    @property
    def session(self) -> Session:
        bodies = [
            f"{MARKS[task.mark]}\n@agent_task({'' if task.rate is None else f'min_pass_rate={task.rate}'})\n"
            f"async def test_{i}(attempt, stage): return await act(attempt, stage, {task.events!r}[attempt.number - 1])"
            for i, task in enumerate(self.tasks)
        ]
        gates = [f"--min-pass-k={self.min_pass_k}"] if self.min_pass_k is not None else []
        gates += [f"--min-pass-at-1={self.min_pass_at_1}"] if self.min_pass_at_1 is not None else []
        stop = [f"--agent-early-stop={self.early_stop}"] if self.early_stop else []
        arguments = (f"--k={self.k}", f"--agent-concurrency={self.concurrency}", *stop)
        around = {f"test_{i}": task.around for i, task in enumerate(self.tasks)}
        return Session(HEAD + "\n".join(bodies), arguments, tuple(gates), CONFTEST.format(around=around))


def drawn(random: Random) -> Plan:
    k = random.choice((1, 2, 2, 4))
    kinds = random.choice(
        (
            ("pass", "pass", "fail"),
            ("pass", "xfail"),
            ("skip", "SkipTest", "early xfail"),
            ("skip", "pass"),
            tuple(LETTERS),
        )
    )
    rates, odd = (None, None, 0.0, 0.5, 1.0), random.random() < 0.3
    tasks = tuple(
        Task(
            tuple(random.choice(random.choice((kinds, kinds, ("pass",)))) for _ in range(k)),
            random.choice(("", "", *MARKS)),
            random.choice(rates),
            random.choice(AROUND) if odd else "",
        )
        for _ in range(random.randint(1, 4))
    )
    gates = random.choice(rates), random.choice(rates)
    return Plan(k, tasks, *gates, random.choice((None, None, "exact", "exact+first")), random.choice((1, 16)))


# -- the documented rules, written apart from the product ----------------------------------------------------------


def letters_of(task: Task) -> str:
    letters = "".join(LETTERS[event] for event in task.events)
    return letters if set(letters) <= {"s"} else letters.replace("s", "b")


def evaluated(plan: Plan) -> list[Task]:
    """The tasks that attempts can run of."""
    return [task for task in plan.tasks if task.around not in ("skip", "error")]


def between(worst: Fraction, best: Fraction, asked: float) -> str:
    return "PASS" if worst >= asked else "FAIL" if best < asked else "UNDECIDED"


def task_rule(task: Task, gated: bool) -> tuple[str, str]:
    """pytest's word where it has one of its own, and the verdict of the task's own gate ("" without one)."""
    letters, k = letters_of(task), len(task.events)
    if task.around in ("skip", "error"):
        return {"skip": "SKIPPED", "error": "ERROR"}[task.around], ""
    if set(letters) == {"s"}:
        return "SKIPPED", ""
    passes, blank = letters.count("p"), letters.count("b")
    own = 1.0 if task.rate is None else task.rate
    verdict = between(Fraction(passes, k), Fraction(passes + blank, k), own) if blank < k else "UNDECIDED"
    judged = task.rate is not None or not gated or task.mark == "strict"
    excused = {"": "x", "xfail": "xfK", "strict": "xfK", "raises": "xK"}[task.mark]
    if not blank and verdict == "FAIL" and set(letters) <= {"p", *excused}:
        return "XFAIL", ""
    if not blank and verdict == "PASS" and task.mark:
        return ("FAILED", "FAIL") if task.mark == "strict" else ("XPASS", "")
    return "FAILED" if blank or (judged and verdict == "FAIL") else "", verdict if judged else ""


def suite_rule(plan: Plan, power: bool, asked: float) -> str:
    rows = [letters for task in evaluated(plan) if set(letters := letters_of(task)) != {"s"}]
    if not any(set(row) - {"b"} for row in rows):
        return "UNDECIDED"
    counts = [(row.count("p"), row.count("p") + row.count("b")) for row in rows]
    rates = [[Fraction(c == plan.k) if power else Fraction(c, plan.k) for c in pair] for pair in counts]
    worst, best = (sum(column, Fraction()) / len(rows) for column in zip(*rates, strict=True))
    return between(worst, best, asked)


def rules(plan: Plan) -> dict[str, str]:
    """The verdict of every gate, by its name, and by the task's where it is a task's."""
    gated = plan.min_pass_k is not None or plan.min_pass_at_1 is not None
    verdicts = {f"test_{i}": task_rule(task, gated)[1] for i, task in enumerate(plan.tasks)}
    if plan.min_pass_k is not None:
        verdicts["--min-pass-k"] = suite_rule(plan, True, plan.min_pass_k)
    if plan.min_pass_at_1 is not None:
        verdicts["--min-pass-at-1"] = suite_rule(plan, False, plan.min_pass_at_1)
    return {name: verdict for name, verdict in verdicts.items() if verdict}


def status_rule(verdicts: dict[str, str], wrong: bool) -> int:
    return 1 if wrong or "FAIL" in verdicts.values() else 10 if "UNDECIDED" in verdicts.values() else 0


# -- what the product says --------------------------------------------------------------------------------------------


def said(report: dict[str, object]) -> dict[str, str]:
    gates: list[dict[str, str]] = report["gates"]  # type: ignore[assignment]
    names = {id(gate): str(gate["task"] or gate["name"]).rpartition("::")[2] for gate in gates}
    return {names[id(gate)]: gate["verdict"] for gate in gates if gate["name"] != "--agent-max-env-error-rate"}


def differences(plan: Plan, done: Played) -> list[str]:
    if done.live is None or done.again is None:
        return ["there is no report"]
    found = []
    if done.status != done.report_status:
        found.append(f"exit {done.status} live, {done.report_status} by report")
    if done.live["gates"] != done.again["gates"] or done.live["tasks"] != done.again["tasks"]:
        found.append("the JSON reports differ")
    if done.marks != done.marks_again:
        found.append(f"tables: {done.marks} live, {done.marks_again} by report")
    expected, verdicts = rules(plan), said(done.live)
    whole = plan.early_stop is None
    if verdicts != expected and (whole or not _in_part(plan, done)):
        found.append(f"verdicts {verdicts}, by the rules {expected}")
    broken = done.live["run"]["broken_attempts"]
    if whole and broken != sum(letters_of(task).count("b") for task in evaluated(plan)):
        found.append(f"{broken} attempts are broken")
    if done.status != status_rule(verdicts, broken > 0 or bool({"error", "hook"} & {t.around for t in plan.tasks})):
        found.append(f"exit {done.status} with {verdicts}")
    gated = plan.min_pass_k is not None or plan.min_pass_at_1 is not None
    for i, task in enumerate(plan.tasks if whole else ()):
        word, line = task_rule(task, gated)[0], done.lines.get(f"test_{i}", "")
        word = "FAILED" if task.around == "hook" else word
        if (word or line in ("SKIPPED", "FAILED", "XFAIL", "XPASS", "ERROR")) and word != line:
            found.append(f"test_{i}: pytest says {line}, by the rules {word}")
    return found


def _in_part(plan: Plan, done: Played) -> bool:
    """Whether early stopping has left out an attempt that would have shown a task skipped, or its xfail void."""
    telling = [
        {"s"} & {LETTERS[event] for event in task.events} or (task.mark and "b" in letters_of(task))
        for task in plan.tasks
    ]
    left_out = [attempt["outcome"] == "not_run" for task in done.live["tasks"] for attempt in task["attempts"]]
    return any(telling) and any(left_out)


def test_the_live_verdict_that_of_report_and_the_rules_agree(tmp_path: Path) -> None:
    plans = [drawn(Random(f"{SEED}/{number}")) for number in range(SESSIONS)]
    played = play(tmp_path, [plan.session for plan in plans])
    wrong = {
        f"AGENTEVAL_FUZZ_SEED={SEED}, session {number}, {plan}": found
        for number, (plan, done) in enumerate(zip(plans, played, strict=True))
        if (found := differences(plan, done))
    }
    first = "\n".join(f"{name}: {'; '.join(found)}" for name, found in list(wrong.items())[:5])
    if wrong:
        pytest.fail(f"{len(wrong)} of {SESSIONS} sessions differ\n{first}", pytrace=False)
