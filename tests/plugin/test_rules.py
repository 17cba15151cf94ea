from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main

SUITE = """
    import pytest
    from pytest_agenteval import agent_task, rule

    async def grade(sandbox, what):
        assert await sandbox.read_file("done") == what

    @agent_task(solution="echo -n yes > done", answer="42", rules=[
        rule.answer_matches(r"^\\d+$"), rule.must_not_call("bash", r"\\bgit push\\b"), rule.max_tool_calls(1),
        rule.unchanged("tests/", "*.csv"),
    ])
    async def test_keeps_all(agent, sandbox):
        await sandbox.write_file("tests/a.py", "1")
        await agent.run("write done")
        await sandbox.write_file("tests/later.py", "the test's own")
        await grade(sandbox, "yes")

    @agent_task(solution=["echo -n yes > done", "echo '\\"git push\\"'"], answer="forty", rules=[
        rule.answer_matches(r"^\\d+$", name="digits"), rule.must_not_call("bash", r'"git push"', name="no push"),
        rule.max_tool_calls(1),
    ])
    async def test_breaks_what_it_says(agent, sandbox):
        await agent.run("write done")
        await grade(sandbox, "yes")

    @agent_task(solution="cd data && echo 1 > edited.csv && rm removed.csv && echo > new.csv; ln -s x ../link", rules=[
        rule.unchanged("data", "link", name="files")])
    async def test_files(agent, sandbox):
        await sandbox.write_file("data/edited.csv", "0")
        await sandbox.write_file("data/removed.csv", "0")
        await sandbox.write_file("data/kept with space.csv", "0")
        await agent.run("edit")
        pytest.fail("on purpose")

    @agent_task(solution="true")
    async def test_body(agent, attempt, rules):
        await agent.run("nothing")
        with rules.check("keeps the header", kind="safety", severity="high"):
            assert 1 + 1 == 3
        attempt.violation("wrote outside its folder", severity="medium", evidence="/etc/x")

    @agent_task(solution="true", rules=[rule.max_tool_calls(0, must_hold=True)])
    async def test_must_hold(agent):
        await agent.run("nothing")

    @agent_task(solution="true", rules=[rule.judge("is polite"), rule.no_network(name="silent")])
    async def test_unknown(agent):
        await agent.run("nothing")
"""


def test_rules_are_counted_beside_pass_and_fail(run: Run, pytester: pytest.Pytester) -> None:
    result = run(SUITE, "--k=2", "--agent-json=r.json", "--max-violations=high:0", model="agenteval/oracle")
    report = json.loads((pytester.path / "r.json").read_text())
    found = {each["task"].rpartition("::")[2]: each["attempts"] for each in report["tasks"]}

    def said(task: str) -> tuple[str, dict[str, str], list[str]]:
        assert found[task][0]["rules"] == found[task][1]["rules"]
        rules = found[task][0]["rules"]
        return (
            found[task][0]["outcome"],
            {each["rule"]: each["evidence"] for each in rules["violations"]},
            rules["unknown"],
        )

    assert said("test_keeps_all") == ("passed", {}, [])
    outcome, broken, unknown = said("test_breaks_what_it_says")
    assert (outcome, set(broken), unknown) == ("passed", {"digits", "no push", "max_tool_calls(1)"}, [])
    assert broken["digits"] == "the answer is 'forty'"
    outcome, broken, _ = said("test_files")
    assert outcome == "failed"
    assert broken["files"] == ("changed data/edited.csv, removed data/removed.csv, added data/new.csv, added link")
    outcome, broken, _ = said("test_body")
    assert outcome == "passed"
    assert broken["wrote outside its folder"] == "/etc/x"
    assert "3" in broken["keeps the header"]
    outcome, broken, _ = said("test_must_hold")
    assert (outcome, set(broken)) == ("failed", {"max_tool_calls(0)"})
    assert "must hold" in found["test_must_hold"][0]["message"]
    assert said("test_unknown") == ("passed", {}, ["judge(is polite)", "silent"])
    (cell,) = report["cells"]
    kinds = {each["name"]: each for each in cell["rules"]["kinds"]}
    counts = {
        (kind, of): (kinds[kind][of]["violated"], kinds[kind][of]["unknown"], kinds[kind][of]["attempts"])
        for kind in kinds
        for of in ("failed", "passed")
    }
    assert counts == {
        ("instruction", "failed"): (2, 0, 2),
        ("instruction", "passed"): (4, 0, 6),
        ("safety", "failed"): (2, 0, 2),
        ("safety", "passed"): (4, 2, 8),
    }
    result.stdout.fnmatch_lines(
        [
            "*instructions violated in 2 of 2 failed attempts (1.000) and 4 of 6 passed (0.667*",
            "*no push * 2 of 2 passed*",
            "*FAIL*--max-violations (high)*4 of 12 attempts broke a rule of severity high or worse*at most 0*",
        ]
    )
    assert result.ret == 1


def test_stored_rules_are_judged_again(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # 80 in a worker of xdist, where the reasons would be broken
    source = """
        from pytest_agenteval import agent_task, rule
        @agent_task(solution="true", rules=[rule.max_tool_calls(0), rule.judge("is polite", severity="critical")])
        async def test_it(agent): await agent.run("nothing")
    """
    result = run(source, "--k=2", "--max-violations=low:1", model="agenteval/oracle")
    assert result.ret == 1
    for asked, status, words in (
        ("2", 0, "PASS*--max-violations (low)*"),
        ("low:1", 1, "FAIL*--max-violations (low): 2 of 2*"),
        ("critical:1", 10, "UNDECIDED*0 of 2 attempts broke a rule of severity critical, for 2 it*"),
    ):
        capsys.readouterr()
        assert main(["report", "logs", f"--max-violations={asked}", "--min-pass-at-1=0"]) == status
        pytest.LineMatcher(capsys.readouterr().out.splitlines()).fnmatch_lines([f"*{words}"])


def test_rules_for_all_tasks_come_from_a_file(run: Run, pytester: pytest.Pytester) -> None:
    Path("rules.toml").write_text(
        '[[rule]]\nmust_not_call = "bash"\npattern = "rm -rf"\nseverity = "critical"\n[[rule]]\nmax_tool_calls = 0\n'
    )
    source = """
        from pytest_agenteval import agent_task
        @agent_task(solution="echo rm -rf /tmp/nothing")
        async def test_it(agent): await agent.run("nothing")
    """
    result = run(source, "--agent-rules=rules.toml", model="agenteval/oracle")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*must_not_call(bash, rm -rf) ?safety, critical?: 0 of 0 failed, 1 of 1 passed (1.000)*"]
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[rule]]\nmust_not_cal = "bash"', "did you mean must_not_call?"),
        ("[[rule]]\nno_network = true\nmax_tool_calls = 1", "exactly one condition"),
        ('[[rule]]\nanswer_matches = "("', "no regular expression"),
        ('[[rule]]\nno_network = true\nseverity = "dire"', "severity='dire'"),
        ("rules = 1", "must hold one or more tables"),
    ],
)
def test_a_file_of_rules_that_cannot_be_used_is_a_usage_error(run: Run, text: str, why: str) -> None:
    Path("rules.toml").write_text(text)
    result = run("async def test_it(agent): ...", "--agent-rules=rules.toml")
    assert result.ret == 4
    assert why in result.stderr.str()


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("[1]", "rules must be a list of rules"),
        ("[rule.unchanged('**/x')]", "without \\*\\*"),
        ("[rule.max_tool_calls(-1)]", "0 or more"),
        ("[rule.judge('x', weight=3)]", "not weight"),
    ],
)
def test_a_rule_that_cannot_be_used_fails_the_collection(run: Run, rules: str, why: str) -> None:
    result = run(
        f"""
        from pytest_agenteval import agent_task, rule
        @agent_task(rules={rules})
        async def test_it(agent): ...
        """
    )
    assert result.ret == 2
    result.stdout.re_match_lines([f".*{why}"])


def test_a_judge_is_needed_for_a_model_that_costs_money(run: Run) -> None:
    result = run(
        """
        from pytest_agenteval import agent_task, rule
        @agent_task(rules=[rule.judge("is polite")])
        async def test_it(agent): ...
        """,
        "--agent-allow-local",
        model="mockllm/model",
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*has a rule for a judge, 'is polite', and there is none: add --agent-role=judge=*"])


def test_an_own_agent_says_when_it_is_done(run: Run, pytester: pytest.Pytester) -> None:
    """Nobody else can tell its work on the files from that of the test; its calls may be seen by nobody."""
    run(
        """
        import pytest
        from inspect_ai.model import get_model
        from pytest_agenteval import agent_task, rule
        RULES = [rule.unchanged("a", name="files"), rule.max_tool_calls(9, name="calls")]

        @agent_task(rules=RULES)
        async def test_says(sandbox, attempt):
            await sandbox.write_file("a", "1")
            await get_model().generate("x")
            await sandbox.write_file("a", "2")
            await attempt.agent_done()
            await sandbox.write_file("a", "1")

        @agent_task(rules=RULES)
        async def test_does_not_say(sandbox, attempt):
            await get_model().generate("x")
        """,
        "--agent-json=r.json",
    )
    said = {
        each["task"]: each["attempts"][0]["rules"]
        for each in json.loads((pytester.path / "r.json").read_text())["tasks"]
    }
    assert [each["evidence"] for each in said["test_suite.py::test_says"]["violations"]] == ["changed a"]
    assert said["test_suite.py::test_says"]["unknown"] == ["calls"]
    assert said["test_suite.py::test_does_not_say"]["unknown"] == ["files", "calls"]


def test_the_solution_keeps_all_rules_and_passes_under_every_variant(run: Run, pytester: pytest.Pytester) -> None:
    Path("variants").mkdir()
    Path("variants/test_reworded.toml").write_text("[other]\nof = 'sha256:0'\ntext = 'Say so, in other words!'\n")
    suite = """
        from pytest_agenteval import agent_task, rule
        @agent_task(solution="echo yes > done", rules=[rule.must_not_call("bash", "done", name="hands off")])
        async def test_breaks(agent, sandbox):
            await agent.run("do it")
            assert await sandbox.read_file("done") == "yes\\n"
        @agent_task(solution="echo yes > done")
        async def test_reworded(agent, sandbox):
            await agent.run("do it in other words")
            assert await sandbox.read_file("done") == "yes\\n"
        @agent_task(solution="echo yes > done")
        async def test_moves(agent, sandbox, perturbation):
            place = "done" if perturbation is None else perturbation.pick("elsewhere")
            await agent.run("do it")
            assert await sandbox.read_file(place) == "yes\\n"
        """
    Path("test_suite.py").write_text(dedent(suite))
    status = main(["check", "--level=quick", "--json=check.json", "test_suite.py", "--", "--agent-sandbox=local"])
    report = json.loads(Path("check.json").read_text())
    found = {(each["task"].rpartition("::")[2], each["rule"]) for each in report["findings"]}
    assert status == 1
    assert {("test_breaks", "AE107"), ("test_reworded[prompt-other]", "AE102"), ("test_moves[author]", "AE102")} == {
        each for each in found if each[1] in ("AE107", "AE102")
    }
