"""Three shards of one suite: merged, as a baseline, with one missing, among others. And what a shard says by itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.forked_pytest import forked_pytest
from support.suite_runs import Run

from pytest_agenteval.cli.main import main

SUITE = """
import pytest
from pytest_agenteval import agent_task


@pytest.mark.parametrize("n", range(7))
@agent_task(solution="echo done > out.txt")
async def test_writes(agent, sandbox, n):
    await agent.run(f"Write done to out.txt. ({n})")
    assert (await sandbox.read_file("out.txt")).strip() == "done"
"""
SHARDS = (1, 2, 3)
K = 3
IN_SHARD = {1: 2, 2: 3, 3: 2}
"""How many of the seven tasks each has."""


@dataclass(frozen=True, slots=True)
class Store:
    """`main` and `pr` have three shards each; in `pr` the first fell to 0. `new` has the third, of another body."""

    folder: Path
    said: tuple[str, ...]
    """What the shards of `main` said."""

    def with_only(self, target: Path, *shards: str) -> str:
        """A directory that holds these shards, for example `pr/shard-2`."""
        for shard in shards:
            shutil.copytree(self.folder / shard, target / shard.replace("/", "-"))
        return str(target)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("store")
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "160"}

    def shard(name: str, part: int, p_success: float, seed: int) -> str:
        done = forked_pytest(
            folder,
            (
                "-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", "--agent-model=agenteval/noisy",
                f"--agent-model-arg=p_success={p_success}", f"--agent-model-arg=seed={seed}", "--agent-sandbox=local",
                f"--k={K}", "--agent-measure-only", f"--agent-shard={part}/3", f"--agent-log-dir={name}/shard-{part}",
            ),
            environment,
        )  # fmt: skip
        assert done.ret == 0, done.stdout.str()
        return done.stdout.str()

    test = folder / "test_suite.py"
    test.write_text(SUITE, "utf-8")
    said = tuple(shard("main", part, 1.0, 1) for part in SHARDS)
    for part, p_success in zip(SHARDS, (0.0, 1.0, 1.0), strict=True):
        shard("pr", part, p_success, 2)
    test.write_text(SUITE.replace("Write done", "Do write done"), "utf-8")
    shard("new", 3, 1.0, 3)
    return Store(folder, said)


Report = Callable[..., tuple[int, str]]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    def report(*arguments: str) -> tuple[int, str]:
        status = main(["report", *arguments, f"--k={K}"])
        return status, " ".join(capsys.readouterr().out.split())

    return report


def test_a_shard_measures_and_says_neither_pass_nor_fail(store: Store) -> None:
    for part, said in zip(SHARDS, store.said, strict=True):
        assert f"shard {part}/3: {IN_SHARD[part]} of 7 tasks" in said
        assert "exit 0: all was measured, and nothing is judged" in said
        assert "PASS" not in said


def test_a_sharded_run_is_no_worse_than_itself(store: Store, report: Report) -> None:
    main = str(store.folder / "main")
    status, said = report(main, "--min-pass-at-1=0", f"--agent-baseline={main}")
    assert status == 0
    assert "7 tasks compared, no single task fell" in said
    assert "(3 logs" in said


def test_a_shard_that_fell_is_a_regression_of_the_whole(store: Store, report: Report) -> None:
    places = str(store.folder / "pr"), f"--agent-baseline={store.folder / 'main'}"
    status, said = report(*places, "--min-pass-at-1=0")
    assert status == 1
    assert "pass@1 of 7 compared tasks went from 1.000 to" in said
    assert said.count("fell, though not beyond chance by itself") == IN_SHARD[1]
    assert "although the setup differs" in said


def test_a_baseline_is_found_among_other_runs(store: Store, report: Report) -> None:
    """In one store with all the others, where nothing names runs, `main` is the only one that is whole."""
    status, said = report(str(store.folder / "pr"), "--min-pass-at-1=0", f"--agent-baseline={store.folder}")
    assert status == 1
    assert "pass@1 of 7 compared tasks went from 1.000 to" in said
    assert "(3 logs; its models ran with p_success=1.0, seed=1" in said


def test_a_run_is_not_its_own_baseline_while_there_is_another(store: Store, report: Report) -> None:
    """Of the others the one with most of the tasks: `pr` without its first shard, which had another setup."""
    status, said = report(str(store.folder / "main"), "--min-pass-at-1=0", f"--agent-baseline={store.folder}")
    assert status == 0
    assert f"{IN_SHARD[2] + IN_SHARD[3]} tasks compared" in said
    assert "(2 logs; its models ran with p_success=1.0, seed=2" in said


def test_a_missing_shard_that_could_turn_the_gate_leaves_it_open(store: Store, report: Report, tmp_path: Path) -> None:
    two = store.with_only(tmp_path / "two", "pr/shard-1", "pr/shard-2")
    files = [tmp_path / name for name in ("it.json", "it.md")]
    low, high = IN_SHARD[2] / 7, (IN_SHARD[2] + IN_SHARD[3]) / 7  # shard 1 fell to 0
    status, said = report(
        two, f"--min-pass-at-1={(low + high) / 2}", f"--agent-json={files[0]}", f"--agent-comment={files[1]}"
    )
    assert status == 10
    assert said.startswith("incomplete: shard 3 of 3 is missing")
    assert f"pass@1 lies between {low:.3f} and {high:.3f}" in said
    written = json.loads(files[0].read_text("utf-8"))
    assert written["run"]["incomplete"][0] == "shard 3 of 3 is missing"
    assert written["run"]["tasks"] == 7
    assert files[1].read_text("utf-8").splitlines()[3].startswith("exit 10: INCOMPLETE: shard 3 of 3 is missing")
    assert report(two, f"--min-pass-at-1={high + 0.01}")[0] == 1
    assert report(two, f"--min-pass-at-1={low}")[0] == 10


def test_a_shard_of_another_run_in_the_store_fills_no_gap(store: Store, report: Report, tmp_path: Path) -> None:
    place = store.with_only(tmp_path / "store", *(f"main/shard-{n}" for n in SHARDS), "pr/shard-2", "new/shard-3")
    status, said = report(place, "--min-pass-at-1=0.2")
    assert status == 10
    assert said.startswith("incomplete: shards 1 and 2 of 3 are missing")
    assert "differs in the code or selection of the tests" in said


def test_shards_of_different_test_bodies_are_not_one_run(store: Store, report: Report, tmp_path: Path) -> None:
    place = store.with_only(tmp_path / "mixed", "main/shard-1", "main/shard-2", "new/shard-3")
    status, said = report(place, "--min-pass-at-1=0.2")
    assert status == 10
    assert "shards 1 and 2 of 3 of the run of" in said
    logs = [str(log) for log in Path(place).rglob("*.eval")]
    status, said = report(*logs, "--min-pass-at-1=0.2")  # named together, attempts at another test are still others
    assert status == 10
    assert "left out: its test function has changed since" in said
    assert "although the code or selection of the tests differs" in said


def test_measuring_is_not_done_while_attempts_are_missing(run: Run) -> None:
    assert run(SUITE, "--k=2", "--agent-measure-only").ret == 0  # though every attempt failed
    lost = """
        from inspect_ai.util import SandboxUnavailableError

        async def test_a(agent, attempt):
            await agent.run("go")
            if attempt.number == 2:
                raise SandboxUnavailableError("gone")
    """
    result = run(lost, "--k=2", "--agent-measure-only", "--agent-env-retries=0")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["exit 10: INCOMPLETE: 1 attempt met environment errors in every try"])
    broken = "async def test_a(attempt):\n    raise ValueError\n"
    assert run(broken, "--k=2", "--agent-measure-only").ret == 1  # a test that is wrong measures nothing


@pytest.mark.parametrize(
    "gate", ["--min-pass-k=0", "--min-pass-at-1=0", "--agent-max-env-error-rate=1", "--agent-early-stop=exact"]
)
def test_measuring_goes_with_no_gate(run: Run, gate: str) -> None:
    result = run(SUITE, "--agent-measure-only", gate)
    assert result.ret == 4
    flag = gate.partition("=")[0]
    result.stderr.fnmatch_lines([f"*--agent-measure-only judges nothing, so {flag} cannot go with it: leave one*"])


def test_gates_of_an_ini_file_wait_for_the_merged_run(run: Run) -> None:
    files = {"pytest.ini": "[pytest]\nagent_min_pass_k = 1\nagent_early_stop = exact\n"}
    result = run(SUITE, "--k=2", "--agent-measure-only", files=files)
    assert result.ret == 0
    assert "PASS" not in result.stdout.str()
    assert "--min-pass-k" not in result.stdout.str()
