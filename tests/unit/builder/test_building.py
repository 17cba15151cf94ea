"""The stages, with a gate that plays nothing: what is accepted, given up, set aside, kept, made again, and paid."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.fake_gates import FakeGate, FakeSolver

from pytest_agenteval.builder.build import Build, Status
from pytest_agenteval.builder.building import Builder
from pytest_agenteval.builder.calls import Calls, Stopped
from pytest_agenteval.builder.evolve import RefreshProposer, discriminating, old_suite
from pytest_agenteval.builder.families.known import fitting, known_families
from pytest_agenteval.builder.gate import Candidate, Reason, Verdict
from pytest_agenteval.builder.intent import Ground, Intent, Quota, Slot, Subtask, allocate
from pytest_agenteval.builder.judge import ModelJudge
from pytest_agenteval.builder.ledger import Ledger
from pytest_agenteval.builder.place import Place
from pytest_agenteval.builder.planning import outlook
from pytest_agenteval.builder.proposal import Difficulty
from pytest_agenteval.builder.proposers import TemplateProposer
from pytest_agenteval.builder.solving import Solved, ambiguity
from pytest_agenteval.cli.main import main
from pytest_agenteval.cli.new_suite import finish
from pytest_agenteval.engine.models.asking import Answer, NoAnswer
from pytest_agenteval.errors import NotReady
from pytest_agenteval.record.records import ModelCall

QUERY = "work on files, tables, logs and repositories"


def build(folder: Path, intent: Intent | None = None, gate: Any = None, **more: Any) -> Build:
    place = Place(folder)
    proposer = more.pop("proposer", None) or TemplateProposer(known_families())
    builder = Builder(place, proposer, gate or FakeGate(), Calls(place, None), **more)
    return asyncio.run(builder.build(intent or Intent(QUERY)))


def states(folder: Path) -> list[tuple[str, str, str]]:
    lines = map(json.loads, (folder / ".new-suite" / "state.jsonl").read_text().splitlines())
    return [(line["draft"], line["state"], line["rule"]) for line in lines]


def suite(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".new-suite" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "report.json"}


def command(folder: Path, *more: str, monkeypatch: pytest.MonkeyPatch, gate: FakeGate | None = None) -> int:
    made = gate or FakeGate()
    monkeypatch.setattr("pytest_agenteval.builder.gate.DeepGate", lambda **_: made)
    return main(["new-suite", *more, "--out", str(folder)])


def test_twelve_tasks_of_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        assert command(folder, QUERY, monkeypatch=monkeypatch) == 0
    assert suite(folders[0]) == suite(folders[1])
    report = json.loads((folders[0] / "report.json").read_text())
    assert report["schema"] == "agenteval.new-suite/1"
    assert (report["status"], len(report["accepted"]), report["usd_total"]) == ("complete", 12, 0.0)
    families = [each["origin"]["family"] for each in report["accepted"]]
    assert max(map(families.count, families)) <= 3  # a quarter
    assert sum(each["holdout"] for each in report["accepted"]) == 3
    texts = {name: text.decode() for name, text in suite(folders[0]).items() if name.startswith("test_")}
    assert sum('holdout="samples"' in text for text in texts.values()) == 3
    assert {each["difficulty"] for each in report["accepted"]} == {"easy", "medium", "hard"}
    assert len(texts) == 12


def test_a_query_about_nothing_known_gets_all_families_and_none_above_a_quarter(tmp_path: Path) -> None:
    made = build(tmp_path, Intent("zzz"))
    families = [each.slot.subtask for each in made.accepted]
    assert len(set(families)) == 8
    assert max(map(families.count, families)) <= 3
    assert fitting("git", known_families())[0].name == "git"


def test_another_seed_makes_other_tasks(tmp_path: Path) -> None:
    one, two = (build(tmp_path / str(seed), Intent(QUERY, seed=seed)) for seed in (1, 2))
    prompts = [{each.candidate.proposal.words for each in made.accepted} for made in (one, two)]
    assert not prompts[0] & prompts[1]


class Once(FakeGate):
    """Finds something wrong with the first version of each named draft."""

    def __init__(self, *ids: str, rule: str = "AE302", always: bool = False) -> None:
        super().__init__()
        self.ids, self.rule, self.always = {*ids}, rule, always

    def judge(self, candidates: Sequence[Candidate]) -> dict[str, Verdict]:
        verdicts = dict(super().judge(candidates))
        for id in self.ids & verdicts.keys():
            verdicts[id] = Verdict(None if self.rule == "UNDECIDED" else False, (Reason(self.rule, "seen"),))
        if not self.always:
            self.ids -= verdicts.keys()
        return verdicts


def test_a_draft_is_repaired_and_else_given_up_and_replaced(tmp_path: Path) -> None:
    made = build(tmp_path, gate=Once("files-1"))
    assert next(each.version for each in made.accepted if each.slot.id == "files-1") == 2
    gone = build(tmp_path / "2", gate=Once("files-1", always=True))
    assert [(each.draft, each.versions, each.reason.rule) for each in gone.rejected] == [("files-1", 3, "AE302")]
    assert "files-1" not in {each.slot.id for each in gone.accepted}
    assert gone.status is Status.COMPLETE
    assert len(gone.accepted) == 12


def test_what_can_never_be_met_is_short(tmp_path: Path) -> None:
    made = build(tmp_path, Intent(QUERY, size=4), gate=Once(*(f"files-{n}" for n in range(1, 30)), always=True))
    assert (made.status, made.why) == (Status.SHORT, "files lacks 1")
    assert len(made.rejected) == 4  # a draft in each round, and then no more


def test_an_environment_that_fails_decides_nothing(tmp_path: Path) -> None:
    made = build(tmp_path, gate=Once("git-1", rule="UNDECIDED"))
    assert (made.status, made.open) == (Status.INCOMPLETE, ["git-1"])
    assert made.rejected == []
    again = FakeGate()
    assert build(tmp_path, gate=again).status is Status.COMPLETE
    assert again.judged == ["git-1"]


def test_a_second_run_plays_nothing_and_notes_nothing(tmp_path: Path) -> None:
    build(tmp_path)
    before, gate = states(tmp_path), FakeGate()
    build(tmp_path, gate=gate)
    assert gate.judged == []
    assert states(tmp_path) == before


def test_an_edited_quota_makes_what_it_adds(tmp_path: Path) -> None:
    build(tmp_path)
    file = tmp_path / ".new-suite" / "quota.toml"
    had = int(re.search(r"\[git\]\ntasks = (\d+)", file.read_text())[1])  # type: ignore[index]
    file.write_text(file.read_text().replace(f"[git]\ntasks = {had}", f"[git]\ntasks = {had + 2}"))
    gate = FakeGate()
    made = build(tmp_path, gate=gate)
    assert gate.judged == [f"git-{had + 1}", f"git-{had + 2}"]
    assert len(made.accepted) == 14


def test_an_edited_draft_is_judged_alone(tmp_path: Path) -> None:
    build(tmp_path)
    file = tmp_path / ".new-suite" / "drafts" / "git-2" / "v1.json"
    file.write_text(file.read_text().replace("Work in a git repository", "Git by hand"))
    gate = FakeGate()
    made = build(tmp_path, gate=gate)
    assert gate.judged == ["git-2"]
    assert "Git by hand" in next(each.candidate.test for each in made.accepted if each.slot.id == "git-2")


def test_a_file_of_the_suite_that_a_person_edited_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, QUERY, "--size=4", monkeypatch=monkeypatch)
    readme = tmp_path / "README.md"
    readme.write_text("mine\n")
    assert command(tmp_path, QUERY, "--size=4", monkeypatch=monkeypatch) == 0
    assert readme.read_text() == "mine\n"


def test_what_is_given_up_lies_in_the_review_folder_and_can_be_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Once("files-1", always=True)
    assert command(tmp_path, QUERY, "--size=4", monkeypatch=monkeypatch, gate=gate) == 0
    assert "AE302: seen" in (tmp_path / "review" / "files-1.md").read_text()
    assert json.loads((tmp_path / "review" / "files-1.json").read_text())["id"] == "files-1"
    command(tmp_path, QUERY, "--size=4", "--accept-as-is=files-1", monkeypatch=monkeypatch, gate=gate)
    assert (tmp_path / "test_files_1.py").exists()
    assert not (tmp_path / "review" / "files-1.md").exists()
    assert not (tmp_path / "test_files_2.py").exists()


def test_it_stops_after_a_stage_and_goes_on_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(tmp_path, QUERY, "--stop-after=quota", monkeypatch=monkeypatch) == 10
    assert not list(tmp_path.glob("test_*"))
    assert command(tmp_path, QUERY, monkeypatch=monkeypatch) == 0


def test_a_finished_suite_that_fails_its_own_check_is_1(tmp_path: Path) -> None:
    class Finds(FakeGate):
        def check(self, suite: Path) -> Sequence[str] | None:
            return ["test_files_1: AE201 null passed"]

    place = Place(tmp_path)
    calls = Calls(place, None)
    made = asyncio.run(Builder(place, TemplateProposer(known_families()), Finds(), calls).build(Intent(QUERY, size=4)))
    assert finish(made, place, calls, Finds()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [], [""], [QUERY, "--size=0"], [QUERY, "--size=2000"], [QUERY, "--proposer=nobody/x"],
        [QUERY, "--family=nope=3"],
        [QUERY, "--target-pass-rate=0.3..0.7"], [QUERY, "--proposer=openai/gpt-5-mini", "--agent-sandbox=local"],
        ["--refresh=nowhere"], [QUERY, "--from-logs=nowhere"],
    ],
)  # fmt: skip
def test_a_wrong_command_is_4(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = command(tmp_path / "out", *arguments, monkeypatch=monkeypatch)
    except SystemExit as error:
        status = 4 if error.code == 2 else int(error.code or 0)  # argparse's own
    assert status == 4
    assert "Traceback" not in capsys.readouterr().err


def test_damaged_files_of_a_person_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path, QUERY, "--size=4", monkeypatch=monkeypatch)
    for name, text in (("quota.toml", "x ="), ("subtasks.toml", "[[subtask]]\nid = 1"), ("intent.toml", "colour = 1")):
        file = tmp_path / ".new-suite" / name
        good = file.read_text()
        file.write_text(text)
        assert command(tmp_path, QUERY, "--size=4", monkeypatch=monkeypatch) == 4
        file.write_text(good)


def test_the_plan_costs_nothing_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, QUERY, "--plan", "--solver-model=agenteval/oracle", monkeypatch=monkeypatch) == 0
    assert "12 tasks by template: about 0 calls, at most $0.00" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    plan = outlook(8, free=False, call_at_most=0.01)
    assert plan.calls == 1 + 6 + 15
    assert plan.at_most == pytest.approx(0.22)
    assert outlook(8, free=False, call_at_most=None).at_most is None


# blind attempts

WRONG = "AssertionError: the answer"


@pytest.mark.parametrize(
    ("solved", "band", "rule"),
    [
        (Solved(3, 3), (), None),
        (Solved(1, 3, (WRONG, WRONG)), (), None),
        (Solved(0, 3, (WRONG, WRONG, WRONG)), (), "AMBIGUOUS"),
        (Solved(0, 3, (WRONG, WRONG, "AssertionError: other")), (), "AMBIGUOUS"),
        (Solved(0, 3, ("AssertionError: 1", "AssertionError: 2", "AssertionError: 3")), (), "UNSOLVED"),
        (Solved(0, 3, ("FileNotFoundError: x",) * 3), (), "UNSOLVED"),
        (Solved(0, 1, (WRONG,)), (), "UNSOLVED"),
        (Solved(0, 0), (), "UNDECIDED"),
        (Solved(4, 4), (0.3, 0.7), "TOO_EASY"),
        (Solved(1, 4, (WRONG,) * 3), (0.3, 0.7), "TOO_HARD"),
        (Solved(2, 4, (WRONG,) * 2), (0.3, 0.7), None),
    ],
)
def test_what_blind_attempts_say(solved: Solved, band: tuple[float, ...], rule: str | None) -> None:
    reason = ambiguity(solved, band)
    assert (reason.rule if reason else None) == rule


def test_what_nobody_solves_is_set_aside_and_replaced(tmp_path: Path) -> None:
    solver = FakeSolver({"git-1": Solved(0, 3, (WRONG,) * 3), "logs-1": Solved(0, 3, ("a", "b", "c"))}, cost=0.5)
    made = build(tmp_path, solver=solver)
    assert {(each.draft, each.reason.rule, each.review) for each in made.rejected} == {
        ("git-1", "AMBIGUOUS", True), ("logs-1", "UNSOLVED", True),
    }  # fmt: skip
    assert made.status is Status.COMPLETE
    assert Calls(Place(tmp_path), None).ledger.by_stage["solve"] == 1.0  # two rounds
    again = FakeSolver({})
    build(tmp_path, solver=again)
    assert again.asked == []


def test_a_suite_is_filled_until_it_discriminates(tmp_path: Path) -> None:
    easy = {f"{name}-1": Solved(4, 4) for name in ("files", "tables", "logs", "git")}
    solver = FakeSolver({**easy, **{f"{name}-{n}": Solved(2, 4, (WRONG,)) for name in ("files", "tables", "logs", "git")
                                    for n in (2, 3)}})  # fmt: skip
    made = build(tmp_path, Intent(QUERY, size=4, target_pass_rate=(0.3, 0.7)), solver=solver)
    assert {each.reason.rule for each in made.rejected} == {"TOO_EASY"}
    assert [each.solved.rate for each in made.accepted if each.solved] == [0.5] * 4


# refreshing


def test_a_refreshed_suite_has_the_same_kinds_and_no_prompt_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    command(old, QUERY, monkeypatch=monkeypatch)
    assert command(new, f"--refresh={old}", "--holdout=1", monkeypatch=monkeypatch) == 0
    reports = [json.loads((folder / "report.json").read_text()) for folder in (old, new)]
    kinds = [sorted(each["subtask"] for each in report["accepted"]) for report in reports]
    assert kinds[0] == kinds[1]
    assert all(each["holdout"] for each in reports[1]["accepted"])
    prompts = [{json.loads(file.read_text())["prompt"] for file in folder.glob(".new-suite/drafts/*/v*.json")}
               for folder in (old, new)]  # fmt: skip
    accepted = {each["draft"] for each in reports[1]["accepted"]}
    kept = {json.loads((new / ".new-suite/drafts" / id / "v1.json").read_text())["prompt"] for id in accepted
            if len(list((new / ".new-suite/drafts" / id).iterdir())) == 1}  # fmt: skip
    assert kept
    assert not prompts[0] & kept


def test_a_prompt_of_the_old_suite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tmp_path / "old", QUERY, "--size=4", monkeypatch=monkeypatch)
    old = old_suite(tmp_path / "old")
    proposer = RefreshProposer(TemplateProposer(known_families()), old.subtasks)
    made = build(tmp_path / "new", Intent(QUERY, size=4), proposer=proposer, known_prompts=old.prompts)
    assert ("files-1", "duplicate", "NEAR_DUPLICATE") in states(tmp_path / "new")
    assert not {each.candidate.proposal.prompt for each in made.accepted} & {*old.prompts}


def test_the_tasks_that_tell_agents_apart_best_come_first() -> None:
    history = {
        "test_git_1.py::test_git_1": {"a": (4, 2), "b": (4, 2)},
        "test_logs_1.py::test_logs_1": {"a": (4, 4), "b": (4, 2)},
        "saturated": {"a": (8, 8)}, "never": {"a": (8, 0)}, "few": {"a": (2, 1)},
    }  # fmt: skip
    names = discriminating(history)
    assert names == ["test_git_1.py::test_git_1", "test_logs_1.py::test_logs_1"]
    proposer = TemplateProposer(known_families())
    chosen = asyncio.run(proposer.subtasks(Intent("zzz", like=names), ()))
    assert {each.id for each in chosen[:2]} == {"git", "logs"}


# the quota


def test_the_quota_is_equal_and_holdouts_are_spread() -> None:
    assert allocate(Intent("q", size=12), ["a", "b", "c", "d", "e"]) == {
        "a": Quota(3, 1), "b": Quota(3, 1), "c": Quota(2, 1), "d": Quota(2, 0), "e": Quota(2, 0),
    }  # fmt: skip
    assert allocate(Intent("q", size=2, holdout=0), ["a", "b", "c"]) == {"a": Quota(1, 0), "b": Quota(1, 0)}
    fixed = allocate(Intent("q", families={"a": 1, "b": 4}, holdout=0.2), ["a", "b"])
    assert fixed == {"a": Quota(1, 0), "b": Quota(4, 1)}


def test_difficulties_have_their_shares() -> None:
    intent = Intent("q")
    eight = [intent.difficulty_of(at) for at in range(8)]
    assert [eight.count(each) for each in Difficulty] == [2, 4, 2]
    assert {Intent("q", difficulty={"hard": 1}).difficulty_of(at) for at in range(9)} == {Difficulty.HARD}


# money


class Model:
    """Answers and costs what it is told."""

    name, setup, priced = "provider/model", "", True

    def __init__(
        self, answers: Sequence[str | NoAnswer] = (), cost: float | None = 0.25, most: float | None = 1.0
    ) -> None:
        self.answers, self.cost, self.most = list(answers), cost, most

    def at_most(self, instructions: str, question: str) -> float | None:
        return self.most

    async def ask(self, instructions: str, question: str) -> Answer:
        said = self.answers.pop(0)
        if isinstance(said, NoAnswer):
            raise said
        return Answer(said, ModelCall("provider/model", "agent", 10, 5, 0, 0, cost=self.cost), 0)


def ask(calls: Calls, model: Model, *questions: str) -> list[str]:
    async def one_by_one() -> list[str]:
        return [await calls.ask(model, "draft", "d", "i", question) for question in questions]

    return asyncio.run(one_by_one())


def test_a_call_is_paid_once_and_stops_before_it_could_cross_the_budget(tmp_path: Path) -> None:
    model = Model(["one", "two", "three"])
    calls = Calls(Place(tmp_path), 1.5)
    assert ask(calls, model, "a", "b", "a") == ["one", "two", "one"]
    assert (calls.asked, calls.cached, calls.ledger.spent) == (2, 1, 0.5)
    more = Calls(Place(tmp_path), 1.5)
    assert ask(more, model, "c") == ["three"]  # 0.5 are spent, and it may cost 1.0
    with pytest.raises(Stopped, match=r"--max-cost=1.5 does not pay .* up to \$1.0000: \$0.7500 is spent"):
        ask(Calls(Place(tmp_path), 1.5), model, "d")


def test_a_call_in_flight_at_a_kill_is_lost_and_counts(tmp_path: Path) -> None:
    place = Place(tmp_path)
    calls = Calls(place, 3.0)
    ask(calls, Model(["one"]), "a")
    calls.record("draft", 1.0)  # and then the process is killed, in the middle of a line
    with (place.home / "ledger.jsonl").open("a") as file:
        file.write('{"event": "res')
    after = Calls(place, 3.0)
    assert (after.ledger.lost_calls, after.ledger.lost, after.ledger.spent, after.left) == (1, 1.0, 0.25, 1.75)
    ask(after, Model(["two"]), "b")
    assert Calls(place, None).ledger.paid == 2


def test_what_no_provider_billed_is_not_counted_and_what_it_may_have_billed_is(tmp_path: Path) -> None:
    refused = Model([NoAnswer("HTTP 400", billed=False, lost=0)])
    lost = Model([NoAnswer("time-out", billed=True, lost=1)])
    for model, held in ((refused, 0.0), (lost, 2.0)):
        calls = Calls(Place(tmp_path / str(held)), 9.0)
        with pytest.raises(Stopped):
            ask(calls, model, "a")
        assert calls.ledger.lost == held


def test_an_unknown_cost_is_never_0(tmp_path: Path) -> None:
    calls = Calls(Place(tmp_path), None)
    ask(calls, Model(["one"], cost=None), "a")
    ask(calls, Model(["two"], cost=None, most=None), "b")
    assert (calls.ledger.spent, calls.ledger.lost, calls.ledger.unpriced) == (0.0, 1.0, 1)
    assert Ledger.of(["", "null", "[]", '{"id']).paid == 0


def test_the_judge_can_only_reject_and_by_a_majority(tmp_path: Path) -> None:
    made = build(tmp_path / "suite", Intent(QUERY, size=1))
    proposal = made.accepted[0].candidate.proposal
    no = json.dumps({"aligned": True, "complete": False, "realistic": True, "reason": "the order is not said"})
    yes = json.dumps({"aligned": True, "complete": True, "realistic": True, "reason": ""})
    for answers, rule in (([no, no, yes], "JUDGED"), ([no, yes, yes], None), (["?", "?", no], None)):
        judge = ModelJudge(Model(answers), Calls(Place(tmp_path / f"{answers.index(no)}{rule}{answers[1]!r:.9}"), None))
        reason = asyncio.run(judge.reject(made.intent, proposal))
        assert (reason.rule if reason else None) == rule


def test_subtasks_that_cannot_be_made_are_left_out_with_their_reason(tmp_path: Path) -> None:
    class Picky(TemplateProposer):
        async def ground(self, intent: Intent, subtask: Subtask) -> Ground:
            return Ground(subtask.id, subtask.id != "git", "needs a network")

    made = build(tmp_path, proposer=Picky(known_families()))
    assert [(each.id, each.reason) for each in made.grounds if not each.feasible] == [("git", "needs a network")]
    assert "git" not in made.quota
    assert len(made.accepted) == 12


def test_a_slot_knows_its_steps() -> None:
    assert Slot("git", 2, Difficulty.EASY).id == "git-3"
    assert Slot("git", 2, Difficulty.EASY).steps(1) in (1, 2)


def test_an_intent_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"size": 0}, {"holdout": 2}, {"difficulty": {"odd": 1}}, {"target_pass_rate": (0.7, 0.3)}):
        with pytest.raises(NotReady):
            Intent("q", **wrong)  # type: ignore[arg-type]
