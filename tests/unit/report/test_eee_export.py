from __future__ import annotations

import copy
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from support.made_records import CELL, OTHER, attempt, retry, task, task_of, tool_call

from pytest_agenteval.cli.export import conversations_of
from pytest_agenteval.errors import NotReady
from pytest_agenteval.estimate.run import summarize
from pytest_agenteval.record.conversation import Conversation, Message, Text, ToolUse
from pytest_agenteval.record.merge import merge
from pytest_agenteval.record.outcomes import Cause, Outcome
from pytest_agenteval.record.records import AttemptRecord, Cell, ModelCall, TaskRecord
from pytest_agenteval.record.stored import StoredLog, StoredTask
from pytest_agenteval.report.eee.eee import CellExport, Publication, cell_exports
from pytest_agenteval.report.eee.identity import model_identity
from pytest_agenteval.report.eee.rows import sample_hash

SCHEMAS = Path(__file__).parents[2] / "data" / "eee"
ABOUT = Publication(version="1.2.3")
KEY = "sk-ant-" + "api03-Zx81kQp2Wv7LmT4sYc9Rb0Hn"
UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
"""As their validator has it: lower case."""


@cache
def validator(name: str) -> Draft7Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


AGGREGATE, INSTANCE = "eval", "instance_level_eval"


def strict(text: str) -> Any:
    """As their readers parse: no duplicate names, no NaN."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


class Files:
    """What an export comes to, checked against the official schemas."""

    def __init__(self, export: CellExport, conversation: Conversation | None = None) -> None:
        self.text = b"".join(export.lines(lambda task, attempt: conversation))
        self.rows = [strict(line) for line in self.text.decode().splitlines()]
        checksum = hashlib.sha256(self.text).hexdigest()
        self.aggregate = strict(json.dumps(export.aggregate(checksum, len(self.rows)), allow_nan=False))
        self.path, self.rows_path = export.path, export.rows_path
        errors = [*validator(AGGREGATE).iter_errors(self.aggregate)]
        errors += [error for row in self.rows for error in validator(INSTANCE).iter_errors(row)]
        assert not errors, errors[0]

    @property
    def results(self) -> dict[str, Any]:
        return {result["evaluation_result_id"]: result for result in self.aggregate["evaluation_results"]}

    def score(self, result: str) -> float:
        return float(self.results[result]["score_details"]["score"])


def export(*records: TaskRecord, about: Publication = ABOUT, said: Conversation | None = None) -> Files:
    (only,) = cell_exports(records, about)
    return Files(only, said)


def pass_hat_from_rows(rows: Iterable[Mapping[str, Any]], k: int) -> Fraction | None:
    """What anybody would do: of each sample, the share of its groups of k rows in which all are correct."""
    samples: dict[str, list[bool]] = {}
    for row in rows:
        if row.get("evaluation_result_id") == "pass_at_1":
            samples.setdefault(row["sample_id"], []).append(row["evaluation"]["is_correct"])
    shares = [
        Fraction(sum(all(group) for group in combinations(of_one, k)), len([*combinations(of_one, k)]))
        for of_one in samples.values()
        if len(of_one) >= k
    ]
    return sum(shares, Fraction()) / len(shares) if shares else None


# -- pass^k from the rows alone --------------------------------------------------------------------


@given(st.lists(st.text("pflebncs", min_size=1, max_size=6), min_size=1, max_size=5), st.data())
@settings(max_examples=80, deadline=None)
def test_pass_hat_k_of_the_rows_is_that_of_the_report(letters: list[str], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, 7))
    records = [task(each, f"t.py::test_{number}", k=k) for number, each in enumerate(letters)]
    exports = cell_exports(records, ABOUT)
    (cell,) = summarize(records).cells
    if not exports:
        assert cell.attempts == 0
        return
    files = Files(exports[0])
    for j in range(1, cell.k + 1):
        estimate = cell.estimates.pass_hat(j)
        mine = pass_hat_from_rows(files.rows, j)
        assert (None if mine is None else float(mine)) == estimate.value
        name = "pass_at_1" if j == 1 else f"pass_hat_{j}"
        assert (files.score(name) if name in files.results else None) == estimate.value


@given(st.lists(st.text("pfd", min_size=1, max_size=5), min_size=1, max_size=4), st.booleans())
@settings(max_examples=50, deadline=None)
def test_a_run_that_stopped_early_is_exported_without_rates_that_its_choice_of_attempts_has_biased(
    letters: list[str], every_first: bool
) -> None:
    decided = {"outcome": Outcome.NOT_RUN, "cause": Cause.DECIDED}
    records = [
        task_of(
            *(
                AttemptRecord(n, **decided) if letter == "d" else attempt(letter, n)  # type: ignore[arg-type]
                for n, letter in enumerate(each, 1)
            ),
            name=f"t.py::test_{number}",
        )
        for number, each in enumerate(letters)
    ]
    (cell,) = summarize(records, every_first=every_first).cells
    files = export(*records, about=replace(ABOUT, every_first=every_first))
    for j in range(1, cell.k + 1):
        expected = cell.pass_at_1.value if j == 1 else cell.estimates.pass_hat(j).value
        mine = pass_hat_from_rows(files.rows, j)
        assert (None if mine is None else float(mine)) == expected
        assert (f"pass_hat_{j}" in files.results) == (j > 1 and expected is not None)
    for row in files.rows:
        assert row.get("evaluation_result_id", "counted_rate") in files.results


def test_one_pass_in_four_is_one_correct_row() -> None:
    files = export(task("fpff"))
    assert [row["evaluation"]["score"] for row in files.rows] == [0.0, 1.0, 0.0, 0.0]
    assert [row["metadata"]["attempt"] for row in files.rows] == ["1", "2", "3", "4"]
    assert files.score("pass_at_1") == 0.25
    assert files.score("pass_hat_4") == 0.0


# -- attempts that do not count --------------------------------------------------------------------


def test_attempts_that_do_not_count_are_rows_of_another_result_and_say_why() -> None:
    files = export(task("pebn"))
    assert [row["evaluation_result_id"] for row in files.rows] == ["pass_at_1", *["counted_rate"] * 3]
    assert [row["evaluation"]["is_correct"] for row in files.rows] == [True, False, False, False]
    assert [row["error"] for row in files.rows] == [
        None,
        "environment_error (sandbox)",
        "broken (setup)",
        "not_run (budget)",
    ]
    assert [row["metadata"]["counts"] for row in files.rows] == ["true", "false", "false", "false"]
    assert files.score("pass_at_1") == 1.0
    assert files.score("counted_rate") == 0.25
    assert files.score("env_error_rate") == pytest.approx(1 / 3)  # of the tries that ran
    assert "pass_hat_2" not in files.results


def test_without_an_attempt_that_counts_there_is_no_pass_rate_at_all() -> None:
    files = export(task("ee"))
    assert set(files.results) == {"counted_rate", "env_error_rate"}
    assert files.score("counted_rate") == 0.0


def test_a_skipped_task_has_no_row_and_a_cell_of_skipped_tasks_no_file() -> None:
    files = export(task("ss", "t.py::test_a"), task("pp", "t.py::test_b"))
    assert {row["sample_id"] for row in files.rows} == {"t.py::test_b"}
    assert files.score("counted_rate") == 1.0
    assert cell_exports([task("s")], ABOUT) == []


def test_a_limit_is_an_error_of_an_attempt_that_counts() -> None:
    (row,) = export(task_of(replace(attempt("l"), message="50 turns are used up"))).rows
    assert row["error"] == "limit (turns): 50 turns are used up"
    assert row["evaluation_result_id"] == "pass_at_1"


# -- what a row holds ------------------------------------------------------------------------------


def call(role: str = "agent", cost: float | None = 0.25, **fields: Any) -> ModelCall:
    tokens = {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 5, "cache_write_tokens": 1}
    return ModelCall("m", role, **tokens, cost=cost, seconds=2.0, **fields)


def test_tokens_are_of_the_agents_whole_trajectory_and_cost_of_all_roles_and_retries() -> None:
    record = attempt("p", model_calls=(call(), call(), call("judge", 0.5)), retries=(retry(1.0),), wall_seconds=9.0)
    (row,) = export(task_of(record)).rows
    assert row["token_usage"] == {
        "input_tokens": 200, "output_tokens": 20, "total_tokens": 232, "input_tokens_cache_write": 2,
        "input_tokens_cache_read": 10, "reasoning_tokens": None,
    }  # fmt: skip
    assert (row["performance"]["latency_ms"], row["performance"]["generation_time_ms"]) == (9000.0, 4000.0)
    details = row["performance"]["additional_details"]
    assert (details["cost_usd"], details["cost_usd_of_last_try"]) == ("2.0", "1.0")
    assert json.loads(details["other_roles"]) == [
        {"role": "judge", "model_calls": 1, "total_tokens": 116, "cost_usd": 0.5}
    ]
    assert row["metadata"]["retries"] == "1"
    (told,) = json.loads(row["metadata"]["retry_log"])
    assert (told["cause"], told["cost_usd"], told["total_tokens"]) == ("sandbox", 1.0, 110)
    assert row["evaluation"]["num_turns"] == 2


def test_an_unknown_price_is_absent_and_never_0() -> None:
    files = export(task("pp", cost=None))
    assert all("cost_usd" not in row["performance"]["additional_details"] for row in files.rows)
    assert "cost_usd_per_attempt" not in files.results
    assert "total_cost_usd" not in files.results["pass_at_1"]["generation_config"]["additional_details"]


def test_an_attempt_without_a_model_call_has_no_token_usage() -> None:
    (row,) = export(task_of(AttemptRecord(1, Outcome.NOT_RUN, Cause.BUDGET))).rows
    assert row["token_usage"] is None
    assert row["evaluation"]["num_turns"] is None
    assert row["performance"]["latency_ms"] is None


def test_tool_calls_are_logged_with_their_failures() -> None:
    calls = (tool_call(), tool_call("timeout"), tool_call(exit_code=2))
    files = export(task_of(attempt("p", tool_calls=calls), name="t.py::test_a"), task("f", "t.py::test_b"))
    row = files.rows[0]
    log = json.loads(row["metadata"]["tool_call_log"])
    assert [entry.get("error") for entry in log] == [None, "timeout", None]
    assert [entry.get("exit_code") for entry in log] == [None, None, 2]
    assert (row["metadata"]["tool_call_failures"], row["evaluation"]["tool_calls_count"]) == ("1", 3)
    assert files.score("tool_call_failure_rate") == pytest.approx(1 / 3)


def test_where_it_ran_is_in_the_row_and_in_the_generation_config() -> None:
    image = "registry/x@sha256:" + "a" * 64
    record = attempt("p", image=image, log="/home/me/logs/a.eval", run="r1", ended="2026-11-22T05:00:00+00:00")
    files = export(task_of(record), about=replace(ABOUT, setups={CELL.model: "temperature=0"}))
    meta = files.rows[0]["metadata"]
    assert (meta["image"], meta["inspect_log"], meta["run"]) == (image, "a.eval", "r1")
    config = files.results["pass_at_1"]["generation_config"]
    assert config["generation_args"]["sandbox"] == {"type": "docker", "config": image}
    assert config["generation_args"]["agentic_eval_config"]["additional_details"]["agent_name"] == "react"
    assert config["additional_details"]["model_setup"] == "temperature=0"
    assert files.aggregate["evaluation_timestamp"] == "1795323600.0"  # date -d 2026-11-22T05:00:00Z +%s
    assert b"/home/me" not in files.text


def test_limits_that_all_tasks_have_in_common_are_told() -> None:
    limits = {"time_limit": 600.0, "turn_limit": 50, "token_limit": None}
    about = replace(ABOUT, limits={"t.py::a": limits, "t.py::b": {**limits, "turn_limit": 9}})
    config = export(task("p", "t.py::a"), task("p", "t.py::b"), about=about).results["pass_at_1"]["generation_config"]
    assert config["generation_args"]["eval_limits"] == {"time_limit": 600}
    assert json.loads(config["additional_details"]["limits_per_attempt"]) == {"time_limit": 600.0, "token_limit": None}


def test_the_interval_is_the_reports() -> None:
    records = [task("pf", "t.py::test_a"), task("pp", "t.py::test_b")]
    (cell,) = summarize(records).cells
    files = export(*records)
    rerun, like_these = cell.estimates.pass_at_1_intervals
    told = files.results["pass_at_1"]["score_details"]
    assert told["uncertainty"]["confidence_interval"]["lower"] == rerun.low
    assert told["uncertainty"]["confidence_interval"]["upper"] == rerun.high
    assert told["uncertainty"]["num_samples"] == 4
    assert json.loads(told["details"]["interval: tasks like these"])["lower"] == like_these.low


def test_cost_by_attempt_is_everything_that_was_paid_by_what_counts() -> None:
    files = export(task("pe", cost=1.0), task("f", "t.py::test_b", cost=4.0))
    assert files.score("cost_usd_per_attempt") == 3.0  # (1 + 1 + 4) / 2
    details = files.results["cost_usd_per_attempt"]["score_details"]["details"]
    assert (details["total_run_cost"], details["average_agent_cost"]) == ("6.0", "2.5")
    assert files.results["cost_usd_per_attempt"]["metric_config"]["max_score"] == "Infinity"


# -- conversations ---------------------------------------------------------------------------------

BASH = ToolUse("bash", Text('{"command": "ls", "timeout": 3}'), Text("out"), exit_code=0)
TALK = Conversation(
    (
        Message("system", Text("You are an agent.")),
        Message("user", Text("Fix it.")),
        Message(
            "assistant", Text("I look."), (BASH, ToolUse("nope", Text("{oops"), error="parsing", message=Text("?")))
        ),
        Message("assistant", Text("Done."), reasoning=Text("easy")),
        Message("test", Text(""), (ToolUse("sandbox.exec", Text("cat calc.py"), Text("x"), exit_code=0),)),
        Message("assistant", Text("Good."), speaker="judge"),
    )
)


def test_a_conversation_becomes_messages_with_tool_calls_and_what_came_back() -> None:
    (row,) = export(task_of(attempt("p", answer="done")), said=TALK).rows
    said = row["messages"]
    assert [message["turn_idx"] for message in said] == list(range(len(said)))
    assert [message["role"] for message in said] == [
        "system", "user", "assistant", "tool", "tool", "assistant", "test", "judge/assistant",
    ]  # fmt: skip
    first, second = said[2]["tool_calls"]
    assert (first["name"], first["arguments"]) == ("bash", {"command": "ls", "timeout": "3"})
    assert second["arguments"] == {"arguments": "{oops"}
    assert [said[3]["tool_call_id"], said[4]["tool_call_id"]] == [[first["id"]], [second["id"]]]
    assert (said[3]["content"], said[4]["content"]) == ("out", "[tool-call failure: parsing] ?")
    assert said[5]["reasoning_trace"] == "easy"
    assert said[6]["content"] == "sandbox.exec cat calc.py (exit status 0)\nx"
    assert row["input"]["raw"] == "Fix it."
    (answer,) = row["answer_attribution"]
    assert (answer["turn_idx"], answer["extracted_value"]) == (5, "done")


def test_of_an_attempt_that_was_retried_the_messages_are_those_of_the_last_try() -> None:
    talk = Conversation((Message("user", Text("a")), Message("user", Text("a")), Message("assistant", Text("b"))))
    said = replace(talk, messages=(talk.messages[0], *(replace(m, try_number=2) for m in talk.messages[1:])))
    (row,) = export(task_of(attempt("p", retries=(retry(),))), said=said).rows
    assert [message["content"] for message in row["messages"]] == ["a", "b"]


def test_what_is_cut_says_so() -> None:
    talk = Conversation((Message("user", Text("ab", 7, "yz")), Message("assistant", Text("c"))), 12, 1)
    (row,) = export(task("p"), said=talk).rows
    assert [message["content"] for message in row["messages"]] == [
        "ab\n[7 characters left out]\nyz", "[12 messages left out]", "c",
    ]  # fmt: skip
    assert row["metadata"]["conversation_cut"] == "true"


def test_attempts_at_one_task_share_the_hash_of_its_prompt_even_if_one_never_began() -> None:
    (only,) = cell_exports([task("pn")], ABOUT)
    lines = only.lines(lambda _, attempt: TALK if attempt.number == 1 else None)
    first, second = (json.loads(line) for line in lines)
    # sha256 of '{"raw":"Fix it.","reference":[]}', by hand
    assert first["sample_hash"] == hashlib.sha256(b'{"raw":"Fix it.","reference":[]}').hexdigest()
    assert second["sample_hash"] == first["sample_hash"]
    assert second["messages"] == []


def test_a_task_that_asked_nothing_has_no_hash_that_another_task_could_have() -> None:
    (row,) = export(task("p")).rows
    assert row["sample_hash"] is None


def test_the_hash_is_of_ascii_json() -> None:
    assert sample_hash("é", ["b"]) == hashlib.sha256(rb'{"raw":"\u00e9","reference":["b"]}').hexdigest()


def test_characters_that_end_lines_or_are_no_text_do_not_break_rows() -> None:
    nasty = "a\u2028b\x85c\x0bd\x1ee\r\nf\x00g\ud800h</script>"
    talk = Conversation((Message("user", Text(nasty)), Message("assistant", Text(nasty))))
    files = export(task_of(attempt("f", message=nasty, answer=nasty), name=f"t.py::test[{nasty!a}]"), said=talk)
    assert len(files.text.decode().splitlines()) == 1
    assert files.rows[0]["messages"][0]["content"] == nasty.replace("\ud800", "?")
    assert files.rows[0]["metadata"]["message"] == nasty.replace("\ud800", "?")


def test_keys_are_redacted_wherever_they_stand() -> None:
    use = ToolUse("bash", Text(json.dumps({"command": f"curl -H {KEY}", KEY: 1})), Text(KEY), "unknown", Text(KEY))
    talk = Conversation((Message("user", Text(KEY)), Message("assistant", Text(KEY), (use,), reasoning=Text(KEY))))
    records = [
        task_of(
            attempt("f", message=KEY, answer=KEY, tool_calls=(tool_call(KEY, tool=KEY),), retries=(retry(),)),
            name=f"t.py::test_it[{KEY}{number}]",
            notes=(KEY,),
        )
        for number in (1, 2)
    ]
    files = export(*records, about=replace(ABOUT, setups={CELL.model: f"key={KEY}"}), said=talk)
    assert KEY.encode() not in files.text
    assert KEY not in json.dumps(files.aggregate)
    assert len({row["sample_id"] for row in files.rows}) == 2  # or pass^k of the rows would mix two tasks


def test_a_task_has_one_sample_id_in_all_cells() -> None:
    records = [task("pf", f"t.py::test_it[{cell.model}-3]", cell=cell) for cell in (CELL, OTHER)]
    rows = [row for each in cell_exports(records, ABOUT) for row in Files(each).rows]
    assert {row["sample_id"] for row in rows} == {"t.py::test_it[3]"}
    assert {row["metadata"]["node_id"] for row in rows} == {record.task for record in records}


def test_two_tasks_of_a_cell_never_have_one_sample_id() -> None:
    files = export(task("p", f"t.py::test_it[{CELL.model}]"), task("f", "t.py::test_it"))
    assert len({row["sample_id"] for row in files.rows}) == 2


def test_an_attempt_that_merging_has_renumbered_keeps_its_own_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    def log(path: str, run: str, *fingerprints: str) -> StoredLog:
        attempts = tuple(
            ("t.py::a", attempt("p", n, log=path, run=run, ended=f"2026-01-0{n}T00:00:00+00:00", fingerprint=each))
            for n, each in enumerate(fingerprints, 1)
        )
        return StoredLog(path, run, run, "2026", len(attempts), True, (StoredTask("t.py::a", CELL),), attempts)

    logs = [log("one.eval", "one", "a", "b"), log("two.eval", "two", "c", "d")]
    (record,) = merge(logs).records
    assert sorted(attempt.number for attempt in record.attempts) == [1, 2, 3, 4]
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "pytest_agenteval.engine.logs.conversations.read_conversation",
        lambda _, number, path: asked.append((path, number)),
    )
    for each in record.attempts:
        conversations_of(record, each)
    at = {"a": ("one.eval", 1), "b": ("one.eval", 2), "c": ("two.eval", 1), "d": ("two.eval", 2)}
    assert asked == [at[each.fingerprint or ""] for each in record.attempts]


# -- files -----------------------------------------------------------------------------------------


def test_paths_are_as_their_validator_wants_them_and_one_for_each_cell() -> None:
    records = [task("pf"), task("pp", cell=OTHER), task("pp", cell=Cell(CELL.model, "own"))]
    exports = cell_exports(records, replace(ABOUT, collection="mine"))
    assert [re.sub(UUID4, "UUID", each.path) for each in exports] == [
        "data/mine/openai/gpt-5-mini/UUID.json",
        "data/mine/anthropic/claude-haiku-4-5/UUID.json",
        "data/mine/openai/gpt-5-mini/UUID.json",
    ]
    assert len({each.path for each in exports}) == 3
    assert re.sub(UUID4, "UUID", exports[0].rows_path).endswith("/UUID_samples.jsonl")
    files = [Files(each) for each in exports]
    for each in files:
        detail = each.aggregate["detailed_evaluation_results"]
        assert detail["file_path"] == each.rows_path
        assert detail["total_rows"] == len(each.rows)
        assert {row["evaluation_id"] for row in each.rows} == {each.aggregate["evaluation_id"]}
        assert {row["model_id"] for row in each.rows} == {each.aggregate["model_info"]["id"]}


def test_exporting_twice_gives_the_same_files_and_other_attempts_give_others() -> None:
    records = [task("pf", "t.py::test_a"), task("pp", "t.py::test_b")]
    once, again = export(*records, said=TALK), export(*copy.deepcopy(records), said=TALK)
    assert (once.path, once.text, once.aggregate) == (again.path, again.text, again.aggregate)
    assert export(*reversed(records), said=TALK).text == once.text
    assert export(*records[:1], said=TALK).path != once.path
    moved = [replace(each, attempts=tuple(replace(a, reused=True) for a in each.attempts)) for each in records]
    assert export(*moved, said=TALK).path == once.path


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("openai/gpt-5-mini", "openai/gpt-5-mini"),
        ("openrouter/anthropic/claude-haiku", "anthropic/claude-haiku"),
        ("anthropic/bedrock/claude", "anthropic/claude"),
        ("hf/Qwen/Qwen3-32B", "Qwen/Qwen3-32B"),
        ("ollama/llama3:8b", "ollama/llama3:8b"),
        ("openai-api/scripted/agent-1", "scripted/agent-1"),
        ("agenteval/oracle", "agenteval/oracle"),
        ("none", "unspecified/none"),
        ("unknown/x", "unknown-model/x"),
        ("a/..", "a/unspecified-model"),
        ("a/b|c", "a/b-c"),
    ],
)
def test_a_models_identity_is_a_developer_and_a_name(name: str, identity: str) -> None:
    assert model_identity(name, {}).id == identity


def test_a_colon_stays_in_the_identity_and_not_in_the_folder() -> None:
    files = export(task("p", cell=Cell("ollama/llama3:8b", "react")))
    assert files.path.startswith("data/pytest-agenteval/ollama/llama3_8b/")
    assert files.aggregate["model_info"]["id"] == "ollama/llama3:8b"
    assert files.aggregate["model_info"]["additional_details"]["deployment_type"] == "self_deployed"


def test_a_given_identity_wins() -> None:
    files = export(task("p"), about=replace(ABOUT, model_ids={CELL.model: "acme/ours"}))
    assert files.aggregate["model_info"]["id"] == "acme/ours"
    assert files.aggregate["model_info"]["name"] == CELL.model


@pytest.mark.parametrize("name", ["a/b", "..", "", " x", "data", "CON", "unknown", "x.", "a:b"])
def test_a_collection_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(NotReady, match="--collection"):
        cell_exports([task("p")], replace(ABOUT, collection=name))


@pytest.mark.parametrize("identity", ["x/", "../x", "unknown/x", "a/b/../c", "a/?"])
def test_an_identity_that_is_no_folder_is_refused(identity: str) -> None:
    with pytest.raises(NotReady, match="--model-id"):
        cell_exports([task("p")], replace(ABOUT, model_ids={CELL.model: identity}))


def test_every_row_belongs_to_a_result_that_is_there() -> None:
    files = export(task("pfebn"), task("s", "t.py::test_b"))
    assert Counter(row["evaluation_result_id"] for row in files.rows) == {"pass_at_1": 2, "counted_rate": 3}
    assert set(files.results) >= {"pass_at_1", "counted_rate"}
