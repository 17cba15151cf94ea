from __future__ import annotations

from pytest_agenteval.check.facts import Played, Task
from pytest_agenteval.check.few_shot import judge_few_shots
from pytest_agenteval.check.findings import Status
from pytest_agenteval.check.judging import Verdicts
from pytest_agenteval.check.plays import Play, Role
from pytest_agenteval.record.outcomes import Outcome

MOONS = "Write the names of the three largest moons of Jupiter to the file moons.txt, one name a line."
LOG = "Count the failed logins in auth.log by user, and write the counts to the file counts.txt."
STEPS = ("awk '/Failed password/ { seen[$9]++ } END { for (u in seen) print u, seen[u] }' auth.log > counts.txt",)


def task(name: str, prompt: str, request: str, *, own: bool = True, steps: tuple[str, ...] = ()) -> Task:
    null = Played(Play("null", Role.NULL), Outcome.FAILED, prompt=prompt, request=request)
    return Task(name, "t.py", 1, steps, own_prompt=own, plays=(null,))


def found(*tasks: Task, through: dict[str, dict[str, list[Played]]] | None = None) -> dict[str, list[str]]:
    verdicts = {each.name: Verdicts(each) for each in tasks}
    judge_few_shots(verdicts, through or {})
    assert {each.assessed["AE405"] for each in verdicts.values()} == {Status.OK}
    return {name: [finding.message for finding in each.findings] for name, each in verdicts.items()}


def test_a_prompt_that_only_its_own_task_says_is_no_leak() -> None:
    assert found(task("moons", MOONS, MOONS), task("log", LOG, LOG)) == {"moons": [], "log": []}


def test_near_duplicates_are_no_leak() -> None:
    assert found(task("moons", MOONS, MOONS), task("saturn", MOONS, MOONS)) == {"moons": [], "saturn": []}


def test_an_example_that_is_a_task_of_the_suite() -> None:
    told = found(task("moons", MOONS, MOONS), task("log", LOG, f"For example: {MOONS}\n{LOG}"))
    assert told == {"moons": ["its agent shows 100% of the prompt to agents at log"], "log": []}


def test_the_agent_of_a_suite_shares_words_in_all_its_prompts_and_leaks_solutions_only() -> None:
    rules = "You are a careful engineer who reads every file before changing it and never guesses at anything."
    moons = task("moons", f"{rules} {MOONS}", f"{rules} {MOONS} Once we ran: {STEPS[0]}", own=False)
    log = task("log", f"{rules} {LOG}", f"{rules} {LOG}", own=False, steps=STEPS)
    assert found(moons, log) == {"moons": [], "log": ["its agent shows 100% of the solution to agents at moons"]}
