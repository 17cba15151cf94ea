"""A model that proposes, over HTTP: each kind of bad proposal, the ledger to the last token, budgets, kills, edits."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support import fake_gates
from support.scripted_proposals import MODEL, PRICES, ProposingServer

RUNNER = fake_gates.__file__

QUERY = "shell work on data files"


def arguments(folder: Path, *more: str) -> list[str]:
    prices = folder.parent / "prices.toml"
    prices.write_text(PRICES)
    command = [QUERY, f"--out={folder}", "--size=8", f"--proposer={MODEL}", f"--agent-prices={prices}"]
    return [sys.executable, RUNNER, "new-suite", *command, "--agent-generate=max_tokens=2000", *more]


def surroundings(server: ProposingServer) -> Mapping[str, str]:
    tests = str(Path(RUNNER).parents[1])
    return {**os.environ, **server.environment, "PYTHONPATH": tests}


def built(folder: Path, server: ProposingServer, *more: str, seconds: float | None = None) -> int | None:
    """The exit status of a build; None if it was killed after so many seconds."""
    process = subprocess.Popen(
        arguments(folder, *more), env=surroundings(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output, errors = process.communicate(timeout=seconds or 120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        assert seconds is not None
        return None
    assert "Traceback" not in output + errors
    return process.returncode


def report(folder: Path) -> dict[str, object]:
    return json.loads((folder / "report.json").read_text())  # type: ignore[no-any-return]


def suite(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".new-suite" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "report.json"}


def transitions(folder: Path) -> list[tuple[str, str, str]]:
    lines = map(json.loads, (folder / ".new-suite" / "state.jsonl").read_text().splitlines())
    return [(line["draft"], line["state"], line["rule"]) for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ProposingServer]:
    """A build that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "suite"
    with ProposingServer() as server:
        assert built(folder, server) == 0
    return folder, server


def test_each_bad_proposal_ends_in_its_own_reason_and_the_quota_is_met(whole: tuple[Path, ProposingServer]) -> None:
    folder, server = whole
    made = transitions(folder)
    for draft, state, rule in [
        ("aggregate-1", "malformed", "FORM"),  # not JSON
        ("aggregate-2", "malformed", "FORM"),  # a check of an unknown kind
        ("aggregate-3", "malformed", "FORM"),  # null
        ("edit-1", "given_up", "AE102"),
        ("edit-2", "gated", "AE401"),
        ("mend-2", "duplicate", "NEAR_DUPLICATE"),
    ]:
        assert (draft, state, rule) in made
    for draft in ("aggregate-1", "aggregate-2", "aggregate-3", "edit-2", "edit-4", "mend-2"):
        assert (draft, "accepted", "") in made
    found = report(folder)
    assert (found["status"], len(found["accepted"])) == ("complete", 8)  # type: ignore[arg-type]
    assert [each["id"] for each in found["not_grounded"]] == ["browse-the-web"]  # type: ignore[attr-defined]
    assert found["rejected"] == [
        {"draft": "edit-1", "rule": "AE102", "message": "oracle failed: sums.csv is not there", "versions": 3,
         "review": False}
    ]  # fmt: skip
    assert server.refused >= 1  # a 429, which was repeated


def test_a_repair_is_told_rule_message_and_evidence(whole: tuple[Path, ProposingServer]) -> None:
    _, server = whole
    (second,) = [each for each in server.requests
                 if each["stage"] == "draft" and each["subtask"]["id"] == "edit" and each["index"] == 0
                 and len(each["feedback"]) == 1]  # fmt: skip
    (problem,) = second["feedback"][0]["problems"]
    assert problem == {
        "rule": "AE102", "message": "oracle failed: sums.csv is not there", "evidence": ["FileNotFoundError"],
    }  # fmt: skip


def test_the_ledger_is_the_servers_count(whole: tuple[Path, ProposingServer]) -> None:
    folder, server = whole
    lines = [json.loads(line) for line in (folder / ".new-suite" / "ledger.jsonl").read_text().splitlines()]
    assert sum(line["usd"] for line in lines if line["event"] == "settle") == pytest.approx(server.usd, abs=1e-9)
    found = report(folder)
    assert found["usd_total"] == pytest.approx(server.usd, abs=1e-9)
    assert found["usd_per_accepted"] == pytest.approx(server.usd / 8, abs=1e-9)
    assert found["calls"]["paid"] == server.calls  # type: ignore[index]
    assert found["usd_lost_at_most"] == 0
    reserved = {line["id"]: line["at_most"] for line in lines if line["event"] == "reserve"}
    assert all(reserved[line["id"]] >= line["usd"] for line in lines if line["event"] == "settle")
    assert len(server.keys) == len(set(server.keys))  # no question twice


def test_what_a_model_wrote_is_never_an_instruction(whole: tuple[Path, ProposingServer]) -> None:
    _, server = whole
    examples = [each for request in server.requests if request["stage"] == "draft" for each in request["examples"]]
    assert all(set(each) >= {"prompt", "checks"} for each in examples)
    assert "python" not in {kind["kind"] for request in server.requests for kind in request.get("checks", [])}


def test_the_same_command_again_asks_nothing(whole: tuple[Path, ProposingServer]) -> None:
    folder, _ = whole
    before = suite(folder)
    with ProposingServer() as server:
        assert built(folder, server) == 0
        assert server.calls == 0
    assert suite(folder) == before


def test_killed_ten_times_it_ends_with_the_same_suite_and_pays_again_only_what_was_in_flight(
    whole: tuple[Path, ProposingServer], tmp_path: Path
) -> None:
    folder, rng, kills = tmp_path / "suite", random.Random(5), 10
    with ProposingServer(seconds=0.05) as server:
        for _ in range(kills):
            _kill_amid_the_calls(folder, server, rng.randint(1, 4))
        assert built(folder, server) == 0
    assert suite(folder) == suite(whole[0])
    found = report(folder)
    paid, lost = (found["calls"][name] for name in ("paid", "lost"))  # type: ignore[index]
    assert paid + lost >= server.calls  # every call that the server answered is shown
    again = len(server.keys) - len(set(server.keys))
    assert again <= lost + kills  # asked twice was only what was in flight, or had not been written down yet
    assert server.calls - again == whole[1].calls


def _kill_amid_the_calls(folder: Path, server: ProposingServer, count: int) -> None:
    """Start a build, and kill it when the server has answered so many calls; it may end before."""
    before = server.calls
    process = subprocess.Popen(
        arguments(folder), env=surroundings(server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while server.calls < before + count and process.poll() is None:
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.wait()


def test_a_budget_stops_before_the_call_that_could_cross_it(
    whole: tuple[Path, ProposingServer], tmp_path: Path
) -> None:
    folder = tmp_path / "suite"
    with ProposingServer() as server:
        assert built(folder, server, "--max-cost=0.02") == 10
        assert server.usd <= 0.02
        found = report(folder)
        assert found["status"] == "incomplete"
        assert re.search(r"--max-cost=0.02 does not pay for the next call", str(found["why"]))
        written = sorted(path.name for path in folder.glob("test_*.py"))
        assert len(written) == len(found["accepted"])  # type: ignore[arg-type]
        assert built(folder, server, "--max-cost=1") == 0  # and it goes on from there
        assert server.calls == whole[1].calls
    assert suite(folder) == suite(whole[0])


def test_a_budget_without_a_price_is_refused(tmp_path: Path) -> None:
    with ProposingServer() as server:
        command = [word for word in arguments(tmp_path / "suite", "--max-cost=1") if "--agent-prices" not in word]
        done = subprocess.run(command, env=surroundings(server), capture_output=True, text=True, check=False)
        assert (done.returncode, server.calls) == (4, 0)
    assert "the price of" in done.stderr


def test_an_edited_quota_pays_for_what_it_adds(whole: tuple[Path, ProposingServer], tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    with ProposingServer() as server:
        assert built(folder, server) == 0
        first = server.calls
        quota = folder / ".new-suite" / "quota.toml"
        quota.write_text(re.sub(r"(\[mend\]\ntasks = )2", r"\g<1>4", quota.read_text()))
        assert built(folder, server) == 0
        added = server.requests[first:]
    asked = sorted((each["stage"], each["subtask"]["id"], each["index"]) for each in added)  # they are asked at once
    assert asked == [("draft", "mend", 2), ("draft", "mend", 3)]
    assert len(report(folder)["accepted"]) == 10  # type: ignore[arg-type]


def test_a_model_that_does_not_answer_is_10(tmp_path: Path) -> None:
    with ProposingServer() as server:
        gone = server.environment
    environment = {**os.environ, **gone, "PYTHONPATH": str(Path(RUNNER).parents[1])}
    command: Sequence[str] = arguments(tmp_path / "suite", "--agent-generate=max_retries=0")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 10
    assert "did not answer" in done.stdout
    assert "Traceback" not in done.stderr
