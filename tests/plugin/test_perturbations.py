from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import list_eval_logs, read_eval_log
from support.scripted_reactions import REACTIONS, THREE_FILES
from support.suite_runs import Run

from pytest_agenteval.cli.main import main

FREE = "--agent-allow-local"


def report(run: Run, *arguments: str, model: str, source: str = THREE_FILES) -> tuple[dict[str, Any], pytest.RunResult]:
    result = run(source, FREE, "--agent-json=r.json", *arguments, conftest=REACTIONS, model=model)
    return json.loads(Path("r.json").read_text()), result


def faults(log_dir: str) -> dict[tuple[str, int], tuple[list[Any], list[Any]]]:
    """By task and attempt: the faults in the record, and the events in the log."""
    found = {}
    for info in list_eval_logs(log_dir):
        log = read_eval_log(info)
        for sample in log.samples or ():
            pieces = (sample.scores or {})["passed"].metadata or {}
            record = json.loads("".join(v[0] for k, v in sorted(pieces.items()) if k.startswith("record.")))
            events = [event.data for event in sample.events if getattr(event, "source", None) == "agenteval.fault"]
            if "faults" in record:
                found[str(sample.id), sample.epoch] = (record["faults"], events)
    return found


def test_an_agent_that_tries_again_and_one_that_believes(run: Run) -> None:
    asked = ("--k=4", "--agent-perturb=exec-faults:rate=0.4,kinds=fork/timeout", "--agent-perturb=tool-faults:rate=0.4,"
             "kinds=error/malformed/empty", "--agent-perturb-k=8", "--min-pass-at-1=1")  # fmt: skip
    again, result = report(run, *asked, "--min-robustness=1", "--agent-log-dir=again", model="reaction/again")
    assert result.ret == 0
    rows = {each["perturbation"]: each for each in again["cells"][0]["robustness"]}
    assert {name: row["ratio"] for name, row in rows.items()} == {"exec-faults": 1.0, "tool-faults": 1.0}
    assert all(row["met"] > 4 and row["extra_turns"] > 0 for row in rows.values())
    result.stdout.fnmatch_lines(
        ["*exec-faults*1*1.000*1.000*0.000*1.00*/8*no (p = 1)", "PASS*--min-robustness (tool-faults): R is 1.000;*"]
    )
    believes, result = report(
        run, *asked, "--min-robustness=0.9", "--agent-log-dir=believes", model="reaction/believes"
    )
    assert result.ret == 1
    for row in believes["cells"][0]["robustness"]:
        assert row["base"] == 1
        assert row["under"] < 0.9
        assert row["ratio"] == row["under"]
    recorded = faults("again")
    assert any(record for record, _ in recorded.values())
    assert all(record == events for record, events in recorded.values())
    status = main(["report", "believes", "--min-robustness=exec-faults:0.01", "--min-pass-at-1=1"])
    assert status == 0


def test_the_same_seed_gives_the_same_faults_under_any_concurrency_and_in_any_cell(run: Run) -> None:
    asked = ("--k=6", "--agent-perturb=faults:rate=0.3,kinds=fork/error/empty")
    drawn: list[Mapping[Any, Any]] = []
    for number, more in enumerate((("--agent-concurrency=1",), ("--agent-concurrency=16",), ("-n2", "--dist=load"))):
        plugins = ("xdist",) if "-n2" in more else ()
        run(THREE_FILES, FREE, f"--agent-log-dir=l{number}", *asked, *more, conftest=REACTIONS, plugins=plugins,
            model="reaction/again")  # fmt: skip
        drawn.append({key: record for key, (record, _) in faults(f"l{number}").items()})
    assert drawn[0] == drawn[1] == drawn[2]
    assert sum(map(len, drawn[0].values())) > 3
    run(THREE_FILES, FREE, "--agent-log-dir=two", *asked, "--agent-model=reaction/again-b", conftest=REACTIONS,
        model="reaction/again")  # fmt: skip
    by_cell: dict[str, dict[int, Any]] = {}
    for (task, attempt), (record, _) in faults("two").items():
        by_cell.setdefault(task, {})[attempt] = record
    one, other = by_cell.values()
    assert one == other == {attempt: record for (_, attempt), record in drawn[0].items()}
    run(THREE_FILES, FREE, "--agent-log-dir=seeded", *asked, "--agent-perturb-seed=1", conftest=REACTIONS,
        model="reaction/again")  # fmt: skip
    assert {key: record for key, (record, _) in faults("seeded").items()} != drawn[0]


def test_the_base_s_figures_are_the_same_with_and_without(run: Run) -> None:
    def base(found: dict[str, Any]) -> Any:
        cells = [{key: value for key, value in cell.items() if key != "robustness"} for cell in found["cells"]]
        for cell in cells:  # how long attempts took is measured, and so are the two means of which that is a part
            cell["profile"] = {**cell["profile"], "consistency": {**cell["profile"]["consistency"]}}
            consistency = cell["profile"]["consistency"]
            *rest, seconds = consistency["by_resource"]
            assert seconds["resource"] == "working seconds"
            consistency |= {"by_resource": rest, "resources": None, "published": None}
        tasks = [
            {key: value for key, value in task.items() if key not in ("attempts", "cost", "own_cost")}
            for task in found["tasks"]
        ]
        return cells, tasks, found["gates"], found["run"]["verdict"], found["run"]["tasks"]

    plain, _ = report(run, "--k=3", "--min-pass-at-1=0.5", "--agent-log-dir=plain", model="reaction/believes")
    with_, result = report(
        run, "--k=3", "--min-pass-at-1=0.5", "--agent-log-dir=with", "--agent-perturb=exec-faults:rate=1,kinds=fork",
        model="reaction/believes",
    )  # fmt: skip
    assert with_["cells"][0]["robustness"][0]["under"] == 0
    assert base(with_) == base(plain)
    assert result.ret == 0
    # neither are they in a baseline, nor in the way of a resumption
    again, result = report(
        run, "--k=3", "--min-pass-at-1=0.5", "--agent-log-dir=with", "--agent-resume", "--agent-baseline=with",
        model="reaction/believes",
    )  # fmt: skip
    assert result.ret == 0
    assert "exec-faults" not in result.stdout.str()
    assert base(again)[1] == base(plain)[1]


def test_grading_never_meets_a_fault(run: Run) -> None:
    source = """
        import pytest
        from pytest_agenteval import agent_task
        @pytest.fixture
        async def made(sandbox):
            assert (await sandbox.exec(["true"])).success
        @agent_task(solution="true")
        async def test_it(made, agent, sandbox):
            assert (await sandbox.exec(["true"])).success
            await agent.run("nothing")
            for _ in range(5):
                assert (await sandbox.exec(["true"])).success
        """
    result = run(source, "--agent-perturb=faults:rate=1,kinds=fork/error", "--k=2", model="agenteval/oracle")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*faults*1*1.000*1.000*2/2*"])


def test_a_perturbation_that_nobody_meets_decides_nothing(run: Run) -> None:
    result = run(THREE_FILES, FREE, "--k=2", "--agent-perturb=exec-faults:rate=0", "--min-robustness=0.1",
                 "--min-pass-at-1=1", conftest=REACTIONS, model="reaction/again")  # fmt: skip
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*no attempt met it*", "UNDECIDED*R is 1.000; only 0 of 2 attempts met*"])


def test_no_perturbation_leaves_the_gate_undecided(run: Run) -> None:
    result = run(THREE_FILES, FREE, "--min-robustness=exec-faults:0.1", "--min-pass-at-1=1", conftest=REACTIONS,
                 model="reaction/again")  # fmt: skip
    assert result.ret == 10
    result.stdout.fnmatch_lines(["UNDECIDED*no task ran under exec-faults: --agent-perturb*"])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("exec", "is no perturbation"),
        ("exec-faults:rate=2", "no number between 0 and 1"),
        ("exec-faults:at=0", "names no calls"),
        ("exec-faults:kinds=429", "has no kind '429'"),
        ("exec-faults:rate=0.1,at=3", "rate and at"),
        ("faults+exec-faults", "twice"),
    ],
)
def test_a_perturbation_that_cannot_be_used_is_a_usage_error(run: Run, asked: str, why: str) -> None:
    result = run(THREE_FILES, f"--agent-perturb={asked}")
    assert result.ret == 4
    assert why in result.stderr.str()


def test_what_inspect_repeats_itself_cannot_be_reached(run: Run) -> None:
    result = run(THREE_FILES, FREE, "--agent-perturb=model-faults", conftest=REACTIONS, model="reaction/again")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*model-faults*never reach react*"])


def test_the_plan_says_what_perturbations_cost_and_could_show(run: Run) -> None:
    result = run(THREE_FILES, FREE, "--k=8", "--agent-perturb=exec-faults", "--agent-perturb-k=20", "--agent-plan",
                 conftest=REACTIONS, model="reaction/again")  # fmt: skip
    assert result.ret == 0
    result.stdout.re_match_lines(
        [r"  under exec-faults: 20 attempts more at 1 task; finds an R of 0\.\d+ or less with 80% power",
         r"all in all 28 attempts.*"]
    )  # fmt: skip
