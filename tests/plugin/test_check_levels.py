"""One session at the level standard over a suite with a planted defect for each rule, and a clean task beside them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_agenteval.cli.check_json import check_schema
from pytest_agenteval.cli.main import main

pytestmark = pytest.mark.usefixtures("warm_children")

SUITE = """
import pytest
from pytest_agenteval import agent_task

@agent_task(solution="echo 42 > answer.txt")
async def test_clean(agent, sandbox):
    await agent.run("Write how much six times seven is to the file answer.txt.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"

@agent_task(solution="wc -l sky.txt", answer="2")
async def test_clean_answer(agent, sandbox):
    await sandbox.write_file("sky.txt", "The sky is wonderful.\\nIts colour is that of the sea.\\n")
    result = await agent.run("How many lines has sky.txt? Answer with the number alone.")
    assert result.answer.strip() == "2"

async def test_no_solution(agent, sandbox):
    await agent.run("Do it.")
    assert await sandbox.read_file("done")

@agent_task(solution="touch done")
async def test_solution_fails(agent, sandbox):
    await agent.run("Do it.")
    await sandbox.read_file("never")

@pytest.fixture
async def seed(sandbox, attempt):
    await sandbox.write_file("seed", str(attempt.number))

@agent_task(solution="cp seed out")
async def test_flaky_environment(agent, sandbox, seed):
    await agent.run("Copy it.")
    assert int(await sandbox.read_file("out")) % 2

@agent_task(solution="touch done")
async def test_flaky_checker(agent, sandbox, attempt):
    await agent.run("Do it.")
    await sandbox.read_file("done")
    assert attempt.number % 2

@agent_task(solution=["touch one", "touch two"], turn_limit=4)
async def test_no_headroom(agent, sandbox):
    await agent.run("Do both.")
    await sandbox.read_file("one")
    await sandbox.read_file("two")

@agent_task(answer="42")
async def test_null(agent):
    await agent.run("How much is 6 * 7?")

@agent_task(answer="Ada")
async def test_echo(agent):
    result = await agent.run("Who wrote the first program, Ada or Bob?")
    assert "Ada" in result.answer

@agent_task(answer="lily")
async def test_dump(agent, sandbox):
    await sandbox.write_file("garden.txt", "In the garden grows a lily.")
    result = await agent.run("Which flower is in the garden?")
    assert "a lily" in f"a {result.answer}" and "rose" not in result.answer

@agent_task(answer="137")
async def test_spam(agent):
    result = await agent.run("What is the inverse of the fine-structure constant?")
    assert "137" in result.answer.split()

@agent_task(solution="touch done", answer="ready")
async def test_answer_only(agent, sandbox):
    result = await agent.run("Make the file done, and say whether you are.")
    assert result.answer.strip() == "ready"

@agent_task(solution="touch done")
async def test_too_strict(agent, sandbox):
    await agent.run("Make the file done.")
    assert (await sandbox.exec(["ls"])).stdout.split() == ["done"]

@pytest.fixture(scope="session")
def finished():
    return []

@agent_task(answer="42")
async def test_residue(agent, finished):
    result = await agent.run("How much is 6 * 7? Answer with the number alone.")
    finished += [result.answer] if result.answer == "42" else []
    assert finished

@agent_task(solution=["echo one > one", "echo two > two"])
async def test_half(agent, sandbox):
    await agent.run("Write the word one to the file one, and two to the file two.")
    await sandbox.read_file("one")

@agent_task(solution="echo 2 > a.txt")
async def test_beside(agent, sandbox):
    await sandbox.write_file("b.txt", "stay\\n")
    await agent.run("Write 2 to a.txt. Nothing else changes.")
    assert (await sandbox.read_file("a.txt")) == "2\\n"

@agent_task(solution="sort -u names.txt > sorted.txt")
async def test_unexercised(agent, sandbox):
    await sandbox.write_file("names.txt", "bo\\nann\\n")
    await agent.run("Write the lines of names.txt to sorted.txt, sorted, each once.")
    assert (await sandbox.read_file("sorted.txt")) == "ann\\nbo\\n"

NUMBERS = "\\n".join(str(n * 37 % 101) for n in range(40)) + "\\n"
SUMS = "sort -n numbers.txt | awk '{ total += $1; print NR, total }' > running.txt"
RUNNING, total = "", 0
for place, number in enumerate(sorted(map(int, NUMBERS.split())), 1):
    total += number
    RUNNING += f"{place} {total}\\n"
SUM = "Write running.txt: a line `N TOTAL` for the N smallest of numbers.txt, N from 1 to 40. Answer the last TOTAL."

async def work(agent, sandbox, prompt=SUM):
    await sandbox.write_file("numbers.txt", NUMBERS)
    result = await agent.run(prompt)
    assert await sandbox.read_file("running.txt") == RUNNING
    assert result.answer.strip() == str(total)

@agent_task(solution=SUMS, answer=str(total))
async def test_clean_sums(agent, sandbox):
    await work(agent, sandbox)

@agent_task(solution=SUMS, answer=str(total))
async def test_leak_in_a_file(agent, sandbox):
    await sandbox.write_file("tests/expected_running.txt", RUNNING)
    await work(agent, sandbox)

@agent_task(solution=SUMS, answer=str(total))
async def test_leak_in_git(agent, sandbox):
    script = "git init -q . && git config user.name A && git config user.email a@b"
    script += " && git commit -q --allow-empty -m one"
    script += f" && cat > running.txt <<'END'\\n{RUNNING}END\\ngit add . && git commit -qm two"
    script += " && git reset -q --hard HEAD~1 && git reflog expire --expire=now --all"
    made = await sandbox.exec(["bash", "-ec", script])
    assert made.success, made.stderr
    await work(agent, sandbox)

@agent_task(solution=SUMS, answer=str(total))
async def test_leak_in_the_prompt(agent, sandbox):
    await work(agent, sandbox, f"{SUM} This is how: {SUMS}")

@agent_task(solution=SUMS, answer=str(total))
async def test_leak_of_the_answer(agent, sandbox):
    await sandbox.write_file("answer.key", f"running: {total}\\n")
    await work(agent, sandbox)
"""
PLANTED = {
    "no_solution": {"AE101"},
    "solution_fails": {"AE102"},
    "flaky_environment": {"AE103"},
    "flaky_checker": {"AE104"},
    "no_headroom": {"AE106"},
    "null": {"AE201"},
    "echo": {"AE202", "AE203", "AE204"},
    "dump": {"AE203"},
    "spam": {"AE204"},
    "answer_only": {"AE205"},
    "too_strict": {"AE304"},
    "residue": {"AE501"},
    "half": {"AE301", "AE302"},
    "beside": {"AE303"},
    "unexercised": {"AE305"},
    "leak_in_a_file": {"AE401"},
    "leak_in_git": {"AE402"},
    "leak_in_the_prompt": {"AE404"},
    "leak_of_the_answer": {"AE401"},
}
WEAK = {"echo", "dump", "spam", "answer_only", "no_headroom", "too_strict", "null"}
"""Their checkers look at too little in any case: wrong variants pass, too."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("levels")
    (folder / "test_suite.py").write_text(SUITE, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nagent_concurrency = 8\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        status = main(["check", "test_suite.py", "--agent-sandbox=local", "--level=standard", "--json=check.json"])
    read = json.loads((folder / "check.json").read_text("utf-8"))
    Draft202012Validator(dict(check_schema())).validate(read)
    assert status == read["exit_status"] == 1
    return read


def found(checked: Any) -> dict[str, set[str]]:
    by_task = defaultdict(set)
    for finding in checked["findings"]:
        if finding["task"] is None or (finding["severity"] == "note" and finding["rule"] != "AE305"):
            continue
        by_task[str(finding["task"]).removeprefix("test_suite.py::test_")].add(finding["rule"])
    return by_task


@pytest.mark.parametrize("task", PLANTED)
def test_a_planted_defect_is_found_under_its_own_id(task: str, checked: Any) -> None:
    weak = {"AE301", "AE302", "AE305"} if task in WEAK else set()
    assert found(checked)[task] - weak == PLANTED[task]


def test_clean_tasks_have_no_finding(checked: Any) -> None:
    assert set(found(checked)) == set(PLANTED)


def test_a_finding_names_the_line_of_its_test(checked: Any) -> None:
    lines = SUITE.splitlines()
    for finding in filter(lambda each: each["task"], checked["findings"]):
        around = lines[finding["line"] - 1 : finding["line"] + 2]
        assert finding["file"] == "test_suite.py"
        assert any(finding["task"].partition("::")[2] in line for line in around)


def test_what_was_not_played_is_not_assessed(checked: Any) -> None:
    rules = {task["task"].removeprefix("test_suite.py::test_"): task["rules"] for task in checked["tasks"]}
    assert rules["clean"]["AE205"] == "not_assessed"  # it has no answer
    assert rules["clean_answer"]["AE205"] == "not_assessed"  # to know the answer is all its work
    assert rules["no_solution"]["AE102"] == "not_assessed"
    assert rules["clean"]["AE102"] == rules["clean"]["AE201"] == "ok"
