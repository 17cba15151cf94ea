"""`pytest-agenteval report` and `compare`: stored attempts judged again, with no model in reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.http_runs import AGENT, HttpRun, run_suite
from support.scripted_policy import CommandPolicy, Policy, Tokens
from support.scripted_server import ScriptedServer

from pytest_agenteval.cli.main import main

SUITE = """
async def test_sure(agent, sandbox):
    await agent.run("Task sure: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"

async def test_shaky(agent, sandbox):
    await agent.run("Task shaky: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"

async def test_hopeless(agent, sandbox):
    await agent.run("Task hopeless: write the answer.")
    assert (await sandbox.read_file("answer.txt")).strip() == "42"
"""
PRICES = {AGENT: {"input": 1.0, "output": 10.0}}
TOKENS = Tokens(prompt=1000, completion=100)
RIGHT, WRONG = ("echo 42 > answer.txt",), ("echo 1 > answer.txt",)
SEED = 2
COST = 0.004
"""Of an attempt: two calls of 1,000 tokens in and 100 out."""


def policies(shaky: float = 0.5, seedless: float = 1.0) -> dict[str, Policy]:
    return {
        name: CommandPolicy(p_success=p, success=RIGHT, failure=WRONG, tokens=TOKENS)
        for name, p in {"sure": seedless, "shaky": shaky, "hopeless": 0.0}.items()
    }


@dataclass(frozen=True, slots=True)
class Ran:
    run: HttpRun
    shaky: int
    """How many of the four attempts at test_shaky passed."""

    @property
    def logs(self) -> str:
        return str(self.run.folder / "logs")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Four attempts at three tasks: one always solved, one sometimes, one never."""
    with ScriptedServer(policies(), seed=SEED) as server:
        run = run_suite(tmp_path_factory.mktemp("ran"), server, SUITE, "--min-pass-k=0", k=4, prices=PRICES)
        shaky = server.totals("shaky", 4).successes
    assert 0 < shaky < 4
    return Ran(run, shaky)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["report", *arguments])
    return status, " ".join(capsys.readouterr().out.split())


def test_five_sets_of_thresholds_over_the_same_attempts(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    c = ran.shaky
    pass_at_1, pass_hat_2 = (1 + c / 4 + 0) / 3, (1 + c * (c - 1) / 12 + 0) / 3
    sets: list[tuple[tuple[str, ...], int, str]] = [
        ((f"--min-pass-at-1={pass_at_1 - 0.01}",), 0, f"pass@1 is {pass_at_1:.3f}"),
        ((f"--min-pass-at-1={pass_at_1 + 0.01}",), 1, f"pass@1 is {pass_at_1:.3f}"),
        (("--min-pass-k=0.33",), 0, "pass^4 is 0.333"),
        (("--min-pass-k=0.34",), 1, "pass^4 is 0.333"),
        (("--k=2", f"--min-pass-k={pass_hat_2 + 0.01}"), 1, f"pass^2 is {pass_hat_2:.3f}"),
    ]
    for arguments, status, sentence in sets:
        got, text = report(capsys, ran.logs, *arguments)
        assert (got, sentence in text) == (status, True), text
    got, text = report(capsys, ran.logs)
    assert got == 1  # with no gate of its own every task must pass all attempts
    assert f"total cost ${12 * COST:.4f}" in text
    assert "1 of 3 judged tasks passed" in text


def test_more_attempts_than_there_are_settle_nothing(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = report(capsys, ran.logs, "--k=8", "--min-pass-at-1=0.5")
    assert (status, "INCOMPLETE" in text) == (10, True)


def test_the_report_shows_what_pytest_showed(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    _, text = report(capsys, ran.logs, "--min-pass-k=0")
    for line in ran.run.lines:
        if line.startswith(("  pass", "  this suite", "  tasks like", "  total cost")):
            assert " ".join(line.split()) in text


def test_shards_merge_to_the_figures_of_one_run(ran: Ran, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ScriptedServer(policies(), seed=SEED) as server:
        for part in (1, 2, 3):
            folder = tmp_path / f"shard-{part}"
            folder.mkdir()
            run_suite(folder, server, SUITE, "--min-pass-k=0", f"--agent-shard={part}/3", k=4, prices=PRICES)
            (folder / "logs").mkdir(exist_ok=True)
    places = [str(tmp_path / f"shard-{part}" / "logs") for part in (1, 2, 3)]
    whole = report(capsys, ran.logs, "--min-pass-k=0.3")
    merged = report(capsys, *places, "--min-pass-k=0.3")
    assert merged[0] == whole[0] == 0
    figures = [line for line in ("pass@1", "pass^4", "total cost", "tool-call failures") if line in whole[1]]
    for name in figures:
        start = whole[1].index(name)
        assert whole[1][start : start + 20] in merged[1]
    there = [place for place in places if any(Path(place).glob("*.eval"))]
    if len(there) > 1:
        status, text = report(capsys, *there[1:], "--min-pass-k=0.3")
        assert (status, "shard" in text) == (10, True)


def test_a_regression_between_two_runs(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedServer(policies(shaky=0.0, seedless=0.0), seed=SEED) as server:
        run_suite(tmp_path, server, SUITE, "--min-pass-k=0", k=4, prices=PRICES)
    later = str(tmp_path / "logs")
    monkeypatch.setenv("COLUMNS", "80")
    capsys.readouterr()
    status = main(["compare", ran.logs, later])
    text = capsys.readouterr().out
    assert (status, "test_sure" in text, "FAIL" in text) == (1, True, True)
    told = " ".join(text.split())
    b, a = re.escape(later), re.escape(ran.logs)
    # without blanks, for a line may have been broken within a path
    assert re.match(rf"B\({b}:therunof[^)]*\(\dlogs?\)\)besideA\({a}:therunof", "".join(told.split()))
    assert "3 tasks compared, 1 regressed, and all together fell; each task's p adjusted" in told
    assert max(len(line) for line in text.splitlines() if "/" not in line) <= 80
    assert "FAIL pass@1 of 3 compared tasks went from " in told
    assert main(["compare", ran.logs, ran.logs]) in (0, 10)


def test_the_profile_of_stored_attempts_and_gates_on_it(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    """Consistency by hand: two tasks always end alike, and u(4, c) is that of the third."""
    u = 1 - 4 * ran.shaky * (4 - ran.shaky) / 12
    mean = (2 + u) / 3
    status, text = report(capsys, ran.logs, "--min-pass-k=0", "--agent-profile", f"--min-consistency={mean - 0.01:.3f}")
    assert status == 0
    assert f"consistency outcome {mean:.3f} " in text
    assert "not measured: nobody asked how sure the agent is" in text
    assert report(capsys, ran.logs, "--min-pass-k=0", f"--min-consistency={mean + 0.01:.3f}")[0] == 1
    assert report(capsys, ran.logs, "--min-pass-k=0", "--max-overconfidence=1")[0] == 10
    assert report(capsys, ran.logs, "--min-pass-k=0", "--min-safety=0")[0] == 10
    capsys.readouterr()
    main(["compare", ran.logs, ran.logs, "--agent-profile"])
    told = capsys.readouterr().out
    assert f"consistency: outcome {mean:.3f} {mean:.3f} 3" in " ".join(told.split())


def test_the_help_is_about_attempts_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["report", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "default: as many as its runs asked for" in said
    for wrong in ("default 1)", "the run stops"):
        assert wrong not in said


REFUSED = {
    "no such place": (("nowhere",), "nowhere is neither a .eval log nor a directory of them: check the path"),
    "an empty folder": (("empty",), "no .eval log of pytest-agenteval is there"),
    "a torn log": (("torn",), "cannot be read as an Inspect log"),
    "an unknown run": (("LOGS", "--run=zzz"), "no run is named zzz...; there are, the newest first:"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_said_in_a_sentence(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "a.eval").write_bytes(b"PK torn")
    arguments, sentence = REFUSED[case]
    assert main(["report", *(ran.logs if a == "LOGS" else a for a in arguments)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_bad_option_is_refused_as_pytest_refuses_it(ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["report", ran.logs, "--min-pass-k=1.5"])
    assert "must be a number between 0 and 1" in capsys.readouterr().err
