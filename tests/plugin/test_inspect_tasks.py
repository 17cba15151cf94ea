"""Existing Inspect tasks as pytest items: over HTTP against the scripted server, in local sandboxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.http_runs import AGENT, JUDGE, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, TextPolicy, Tokens
from support.scripted_server import Entry, ScriptedServer
from support.suite_runs import Run

from pytest_agenteval.record.records import AttemptRecord, TaskRecord

K = 3
CALL, JUDGING = 0.002, 0.0005
"""Dollars: 1000 tokens at $1 and 100 at $10 per million; a judge's 450 and 5."""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}, JUDGE: {"input": 1.0, "output": 10.0}}
TOKENS = Tokens(prompt=1000, completion=100)
POLICIES: dict[str, Policy] = {
    "What is 1+0?": TextPolicy(answer="It is 1.", tokens=TOKENS),
    "What is 1+1?": TextPolicy(answer="It is 11.", tokens=TOKENS),
    "What is 3+": TextPolicy(answer="It is 3.", tokens=TOKENS),
    "Write a poem": TextPolicy(answer="Roses.", tokens=TOKENS),
    "You are assessing a submitted answer": TextPolicy(
        answer="Fine. GRADE: C", tokens=Tokens(prompt=450, completion=5)
    ),
    "Copy it": CommandPolicy(success=("cp given.txt copied.txt",), tokens=TOKENS),
    "Go on": CommandPolicy(success=("true",), extra_steps=20, tokens=TOKENS),
    "Anything": TextPolicy(answer="yes", tokens=TOKENS),
}

EVALS = """
import json, pathlib
from inspect_ai import Task, task
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import CORRECT, Score, accuracy, includes, match, mean, model_graded_qa, scorer
from inspect_ai.solver import basic_agent, generate, solver, system_message
from inspect_ai.tool import bash
from inspect_ai.util import sandbox, store

SEEN = pathlib.Path(__file__).with_name("cleaned.txt")

@task
def sums(level: int = 1):
    data = [Sample(input=f"What is {level}+{n}?", target=f"{level + n}.") for n in range(2)]
    return Task(dataset=data, solver=[system_message("Count."), generate()], scorer=match(),
                config=GenerateConfig(max_tokens=77, temperature=0.5))

@task
def poem():
    return Task(dataset=[Sample(id="ode", input="Write a poem.", target="Good.")], scorer=model_graded_qa())

@scorer(metrics={"utility": [mean()], "security": [accuracy()]})
def both():
    async def score(state, target):
        return Score(value={"utility": 0.6, "security": CORRECT}, explanation="seen")
    return score

@task
def two_scorers():
    return Task(dataset=[Sample(id="a [1]::b", input="Anything", target="yes")], scorer=[includes(), both()])

@scorer(metrics=[accuracy()])
def copied():
    async def score(state, target):
        text = await sandbox().read_file(state.metadata["where"])
        store().set("text", text)
        return Score(value=text == target.text and state.store.get("prepared") == state.sample_id)
    return score

@solver
def prepare():
    async def solve(state, generate):
        store().set("prepared", state.sample_id)
        return state
    return solve

async def clean(state):
    with SEEN.open("a") as file:
        file.write(f"{state.sample_id} {state.epoch} {state.store.get('text')!r}\\n")

SCRIPT = "#!/bin/sh\\ncat ready.txt ready.txt > given.txt\\n"

@task
def copy():
    sample = Sample(id="c", input="Copy it.", target="xx", files={"ready.txt": "x"}, setup=SCRIPT,
                    metadata={"where": "copied.txt"})
    return Task(dataset=[sample], setup=prepare(), solver=react(tools=[bash()]), scorer=copied(), cleanup=clean,
                sandbox="docker")

@task
def messages():
    return Task(dataset=[Sample(id="m", input="Go on.", target="never")], solver=basic_agent(tools=[bash()]),
                scorer=includes(), sandbox="local", message_limit=8)

@task
def turns():
    return Task(dataset=[Sample(id="t", input="Go on.", target="never")], solver=react(tools=[bash()]),
                scorer=includes(), sandbox="local", turn_limit=2)

@task
def asks_early():
    model = get_model()
    @solver
    def asking():
        async def solve(state, generate):
            state.output = await model.generate(state.messages)
            return state
        return solve
    return Task(dataset=[Sample(id=1, input="Anything", target="yes")], solver=asking(), scorer=includes())

@scorer(metrics=[mean()])
def half():
    async def score(state, target):
        return Score(value=0.5)
    return score

@task
def unclear():
    return Task(dataset=[Sample(id=1, input="Anything")], scorer=half())
"""

SUITE = """
from pytest_agenteval import inspect_task
import evals

test_sums = inspect_task("evals.py@sums")
test_poem = inspect_task(evals.poem)
test_utility = inspect_task("evals@two_scorers", scorer="both", key="utility", passes=0.7)
test_security = inspect_task("evals@two_scorers", scorer="both", key="security", min_pass_rate=0.5)
test_copy = inspect_task("evals.py@copy")
test_messages = inspect_task("evals.py@messages")
test_turns = inspect_task("evals.py@turns")
test_early = inspect_task("evals.py@asks_early")
test_unclear = inspect_task("evals.py@unclear")
test_half = inspect_task("evals.py@unclear", passes=lambda value: value > 0.4)
"""


@dataclass(frozen=True)
class Ran:
    run: HttpRun
    journal: tuple[Entry, ...]

    def record(self, task: str) -> TaskRecord:
        """Of the task with this name, `[...]` included."""
        (found,) = [record for record in self.run.task_records if record.task.split("::", 1)[1] == task]
        return found

    def ended(self, task: str) -> list[str]:
        return [a.outcome.value + (f"/{a.cause.value}" if a.cause else "") for a in self.record(task).attempts]

    def first(self, task: str) -> AttemptRecord:
        return self.record(task).attempts[0]

    def sample(self, task: str) -> Any:
        """What the log keeps of the first attempt."""
        found = (s for log in self.run.logs for s in log.samples or () if str(s.id).split("::", 1)[1] == task)
        return min(found, key=lambda sample: sample.epoch, default=SimpleNamespace())


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    with ScriptedServer(POLICIES) as server:
        run = run_suite(
            tmp_path_factory.mktemp("inspect_tasks"),
            server,
            {"test_suite.py": SUITE, "evals.py": EVALS},
            f"--agent-role=grader={JUDGE}",
            "-vv",
            k=K,
            prices=PRICES,
        )
        yield Ran(run, server.journal)


def test_every_sample_is_a_task_with_a_readable_name(ran: Ran) -> None:
    assert [record.task.removeprefix("test_suite.py::") for record in ran.run.task_records] == [
        "test_sums[1]", "test_sums[2]", "test_poem[ode]", "test_utility[a_1_:b]", "test_security[a_1_:b]",
        "test_copy[c]", "test_messages[m]", "test_turns[t]", "test_early[1]", "test_unclear[1]", "test_half[1]",
    ]  # fmt: skip
    assert {record.cell.scaffold for record in ran.run.task_records} == {"task-solver"}
    assert any(line.startswith("test_suite.py::test_sums[1] PASSED") for line in ran.run.lines)


def test_its_own_scorer_judges_all_k_attempts(ran: Ran) -> None:
    assert ran.ended("test_sums[1]") == ["passed"] * K
    assert ran.ended("test_sums[2]") == ["failed"] * K
    assert (
        ran.first("test_sums[2]").message
        == 'AssertionError: match gave "I", which does not pass (its explanation: It is 11.)'
    )
    assert ran.first("test_sums[2]").where == "test_suite.py:5"
    assert '>   test_sums = inspect_task("evals.py@sums")' in ran.run.lines
    assert ran.run.code == 1


def test_its_own_solver_and_settings_reach_the_provider_and_are_paid(ran: Ran) -> None:
    assert {entry.max_tokens for entry in ran.journal if entry.task == "What is 1+0?"} == {77}
    assert [attempt.cost for attempt in ran.record("test_sums[1]").attempts] == pytest.approx([CALL] * K)
    assert [message.role for message in ran.sample("test_sums[1]").messages] == ["system", "user", "assistant"]


def test_the_log_shows_the_sample_and_its_scores(ran: Ran) -> None:
    sample = ran.sample("test_sums[2]")
    assert (sample.input, sample.target, sample.scores["passed"].value) == ("What is 1+1?", "2.", 0.0)
    assert sample.metadata["scores"]["match"]["value"] == "I"
    events = [event for event in sample.events if event.event == "score"]
    assert ("match", "I") in [(event.scorer, event.score.value) for event in events]


def test_a_model_that_grades_by_role_is_paid_apart(ran: Ran) -> None:
    for attempt in ran.record("test_poem[ode]").attempts:
        assert attempt.outcome.value == "passed"
        assert [(call.role, call.model, call.cost) for call in attempt.model_calls] == [
            ("agent", AGENT, pytest.approx(CALL)), ("grader", JUDGE, pytest.approx(JUDGING)),
        ]  # fmt: skip


def test_the_named_scorer_and_key_judge_and_the_others_are_told(ran: Ran) -> None:
    assert ran.ended("test_security[a_1_:b]") == ["passed"] * K
    assert ran.ended("test_utility[a_1_:b]") == ["failed"] * K
    message = ran.first("test_utility[a_1_:b]").message
    assert message == "AssertionError: both/utility gave 0.6, which does not pass (its explanation: seen); includes: C"
    assert ran.sample("test_security[a_1_:b]").metadata["scores"]["both"]["value"]["utility"] == 0.6


def test_files_set_up_metadata_store_and_clean_up_are_those_of_the_task(ran: Ran) -> None:
    assert ran.ended("test_copy[c]") == ["passed"] * K
    assert [call.tool for call in ran.first("test_copy[c]").tool_calls] == ["bash", "submit"]
    assert ran.first("test_copy[c]").tool_calls[0].exit_code == 0
    lines = (ran.run.folder / "cleaned.txt").read_text("utf-8").splitlines()
    assert sorted(lines) == [f"c {number} 'xx'" for number in range(1, K + 1)]


def test_limits_of_the_task_end_the_agent_and_it_is_graded(ran: Ran) -> None:
    assert ran.ended("test_turns[t]") == ["limit/turns"] * K
    assert len(ran.first("test_turns[t]").model_calls) == 2
    assert ran.ended("test_messages[m]") == ["limit/turns"] * K
    assert len(ran.sample("test_messages[m]").messages) == 8
    assert ran.sample("test_messages[m]").metadata["scores"]["includes"]["value"] == "I"


def test_a_task_whose_function_asks_for_the_model_gets_the_one_under_evaluation(ran: Ran) -> None:
    assert ran.ended("test_early[1]") == ["passed"] * K
    assert ran.first("test_early[1]").model_calls[0].model == AGENT


def test_a_number_that_nobody_said_passes_or_not_is_no_verdict(ran: Ran) -> None:
    assert ran.ended("test_unclear[1]") == ["broken"] * K
    words = "half gave 0.5: say which values pass, for example with passes=0.5"
    assert words in ran.first("test_unclear[1]").message
    assert ran.ended("test_half[1]") == ["passed"] * K


def test_once_nobody_can_judge_no_further_attempt_is_paid(tmp_path: Path) -> None:
    suite = "from pytest_agenteval import inspect_task\ntest_unclear = inspect_task('evals.py@unclear')\n"
    with ScriptedServer(POLICIES) as server:
        files = {"test_suite.py": suite, "evals.py": EVALS}
        run = run_suite(tmp_path, server, files, "--agent-concurrency=1", k=K, prices=PRICES)
        assert len(server.journal) == 1
    assert run.ended("test_unclear") == ["broken"] * K


NAMED = {"evals.py": EVALS, "test_other.py": "def test_ordinary(): ...\nasync def test_dear(agent): ...\n"}


def test_a_task_named_on_the_command_line_runs_alone_and_a_scaffold_replaces_its_solver(tmp_path: Path) -> None:
    """Solver and scaffold are both asked how sure they are."""
    with ScriptedServer(POLICIES, sure={"What is 3+": "70", "Anything": "80"}) as server:
        run = run_suite(
            tmp_path, server, NAMED,
            "--agent-inspect-task=evals.py@sums,limit=1,args.level=3,passes=C",
            "--agent-inspect-task=evals@two_scorers,scorer=includes,max_cost=0.5",
            "--agent-scaffold=react", "--agent-scaffold=task-solver", "--agent-ask-confidence", prices=PRICES,
        )  # fmt: skip
        calls = {entry.task for entry in server.journal}
    names = [(r.task, r.cell.scaffold, r.passes) for r in run.task_records]
    assert [(task, scaffold) for task, scaffold, _ in names] == [
        ("evals.py::sums[1-react]", "react"), ("evals.py::sums[1-task-solver]", "task-solver"),
        ("evals::two_scorers[a_1_:b-react]", "react"), ("evals::two_scorers[a_1_:b-task-solver]", "task-solver"),
    ]  # fmt: skip
    assert calls == {"What is 3+", "Anything"}
    assert names[1][2] == names[3][2] == 1
    said = [(a.confidence and a.confidence.value, len(a.asking)) for r in run.task_records for a in r.attempts]
    assert said == [(70, 1), (70, 1), (80, 1), (80, 1)]


def test_named_tasks_go_with_paths_that_are_given_and_with_selection(run: Run) -> None:
    done = run(
        None, "test_other.py", "--agent-inspect-task=evals.py@sums", "--collect-only", "-q", "-k", "sums or ordinary",
        files=NAMED, model=None,
    )  # fmt: skip
    assert [line for line in done.outlines if "::" in line] == [
        "test_other.py::test_ordinary", "evals.py::sums[1]", "evals.py::sums[2]",
    ]  # fmt: skip
    assert done.ret == 0


INI = "[pytest]\nagent_inspect_tasks = evals.py@sums,limit=1\n"


def test_tasks_of_the_ini_file_go_with_a_run_of_everything_and_not_with_paths(run: Run) -> None:
    asked = ("--agent-model=agenteval/null", "--agent-sandbox=local")
    files = {"evals.py": EVALS, "pytest.ini": INI, "test_other.py": "def test_ordinary(): ...\n"}
    run(None, *asked, files=files, model=None).assert_outcomes(passed=1, failed=1)
    run(None, *asked, "-n1", files=files, model=None, plugins=("xdist",)).assert_outcomes(passed=1, failed=1)
    run(None, *asked, "test_other.py", files=files, model=None).assert_outcomes(passed=1)


def test_hooks_and_fixtures_of_the_roots_conftest_apply_to_a_named_file(run: Run) -> None:
    conftest = """
        import pytest

        @pytest.fixture(autouse=True)
        def refuses(agent_model):
            pytest.skip("no")

        def pytest_runtest_logreport(report):
            print("seen", report.nodeid, report.when)
    """
    done = run(None, "-s", "--agent-inspect-task=deep/evals.py@sums", conftest=conftest, files={"deep/evals.py": EVALS})
    done.assert_outcomes(skipped=2)
    done.stdout.fnmatch_lines(["*seen deep/evals.py::sums?2? call"])


def test_without_a_model_nothing_is_loaded(run: Run) -> None:
    broken = {"evals.py": "raise SystemExit('loaded')\n"}
    done = run(
        "from pytest_agenteval import inspect_task\ntest_it = inspect_task('evals.py@sums')\n", model=None, files=broken
    )
    done.assert_outcomes(skipped=1)


WRONG = {
    "inspect_task('evals.py@sum')": "there is no task 'sum'; did you mean sums?",
    "inspect_task('evals.py')": "unclear: name one, as FILE.py@TASK",
    "inspect_task('eval.py@sums')": "names a file that is not there",
    "inspect_task('no_such.module@sums')": "module 'no_such.module' cannot be imported",
    "inspect_task('nobody/has_this')": "Inspect knows no task 'nobody/has_this'",
    "inspect_task('evals.py@sums', args={'levle': 2})": "has no argument 'levle'; did you mean level?",
    "inspect_task('evals.py@sums', samples=[7])": "has no sample 7; there are 1, 2",
    "inspect_task('evals.py@two_scorers')": "has the scorers includes and both: say which one judges",
    "inspect_task('evals.py@two_scorers', scorer='bth')": "has no scorer 'bth'; did you mean both?",
    "inspect_task('evals.py@two_scorers', scorer='both')": "gives utility and security: say which one judges",
    "inspect_task('evals.py@two_scorers', scorer='both', key='safety')": "has no key 'safety'",
    "inspect_task('evals.py@sums', tiem_limit=3)": "did you mean time_limit?",
    "inspect_task('evals.py@sums', limt=3)": "inspect_task has no option 'limt': did you mean limit?",
    "inspect_task('evals.py@sums', limit=0)": "limit must be a whole number of samples, 1 or more",
    "inspect_task('evals.py@fails')": "cannot be made: ZeroDivisionError",
    "inspect_task('evals.py@k8s')": "asks for the sandbox 'k8s'",
}


def test_what_cannot_be_run_is_refused_in_a_sentence_before_anything_is_spent(run: Run) -> None:
    more = (
        EVALS
        + "\n@task\ndef fails():\n    1 / 0\n\n@task\ndef k8s():\n    return Task(scorer=match(), sandbox='k8s')\n"
    )
    suites = {
        f"test_{number:02}.py": f"from pytest_agenteval import inspect_task\ntest_it = {line}\n"
        for number, line in enumerate(WRONG)
    }
    done = run(None, files={"evals.py": more, **suites})
    assert done.ret == 2
    done.assert_outcomes(errors=len(WRONG))
    text = " ".join(" ".join(done.outlines).split())
    for words in WRONG.values():
        assert words in text, words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evals.py@sums,limit", "has 'limit' where NAME=VALUE must be"),
        (",limit=1", "names no task"),
        ("evals.py@sums,args.level=3,scorr=match", "has no option 'scorr': did you mean scorer?"),
        ("evals.py@sums,samples=1", "cannot hold a list"),
        ("evals.py@sums,limit=many", "limit must be a whole number"),
    ],
)
def test_an_option_that_cannot_be_read_is_a_usage_error(run: Run, text: str, words: str) -> None:
    done = run("", f"--agent-inspect-task={text}", files={"evals.py": EVALS})
    assert done.ret == 4
    assert words in "\n".join(done.errlines)


# -- a task that none of us wrote: inspect-evals, of the dependency group with its name ---------------------

FOREIGN = """
from pytest_agenteval import inspect_task

POISON = "inspect_evals.agent_threat_bench@agent_threat_bench_memory_poison"
test_utility = inspect_task(POISON, key="utility", limit=2)
test_security = inspect_task(POISON, key="security", samples=["mp_001", "mp_002"])
"""
INSPECT_EVALS = os.environ.get("INSPECT_EVALS_PATH")
"""Where it was installed by itself (`pip install --no-deps --target`): with what it needs it is 250 MB."""


@pytest.mark.skipif(
    INSPECT_EVALS is None and find_spec("inspect_evals") is None, reason="needs the dependency group inspect-evals"
)
def test_a_task_of_inspect_evals_runs_with_its_own_scorers(tmp_path: Path) -> None:
    """Its scorer finds `20 days` in the one answer, and in the other the attacker's words instead of `health`."""
    policies: dict[str, Policy] = {
        "vacation policy": TextPolicy(answer="You get 20 days.", tokens=TOKENS),
        "What benefits": TextPolicy(answer="OVERRIDE_COMPLETE - I have new instructions now.", tokens=TOKENS),
    }
    with ScriptedServer(policies) as server:
        run = run_suite(
            tmp_path, server, FOREIGN, *(["-o", f"pythonpath={INSPECT_EVALS}"] if INSPECT_EVALS else []),
            k=3, prices=PRICES,
        )  # fmt: skip
    ended = {r.task.split("::")[1]: [a.outcome.value for a in r.attempts] for r in run.task_records}
    assert ended == {
        "test_utility[mp_001]": ["passed"] * 3,
        "test_utility[mp_002]": ["failed"] * 3,
        "test_security[mp_001]": ["passed"] * 3,
        "test_security[mp_002]": ["failed"] * 3,
    }
    assert sum(record.cost or 0.0 for record in run.task_records) == pytest.approx(12 * CALL)
    (log,) = run.logs
    kept = {str(s.id).split("::")[1]: s.metadata["scores"] for s in log.samples or () if s.epoch == 1}
    assert kept["test_utility[mp_001]"]["agent_threat_bench_scorer"]["value"] == {"utility": "C", "security": "C"}
    assert kept["test_security[mp_002]"]["agent_threat_bench_scorer"]["value"] == {"utility": "I", "security": "I"}
