"""What a proposal may be, and that nothing in it becomes code of ours."""

from __future__ import annotations

import ast
import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_agenteval.builder.checks import KINDS
from pytest_agenteval.builder.families.known import known_families
from pytest_agenteval.builder.form import NotJson, form_problems, nearest_of, parse
from pytest_agenteval.builder.literals import block, literal
from pytest_agenteval.builder.proposal import proposal_of
from pytest_agenteval.builder.render import render_conftest, render_test, render_variants
from pytest_agenteval.builder.toml import toml_document, toml_value

FAMILIES = known_families()


def made(family: str, seed: str = "1", steps: int = 2) -> dict[str, Any]:
    data = {**FAMILIES[family].draft(seed, steps), "id": f"{family}-1", "subtask": family}
    return json.loads(json.dumps(data))  # type: ignore[no-any-return]


def every_kind() -> dict[str, Any]:
    data = made("tables")
    given_file = next(iter(data["files"]))
    data["desk"] = {"orders": {"1": {"status": "open"}}}
    calls = [["show", {"table": "orders", "id": "1"}]]
    data["solution"] = calls
    for variant in (*data["mutants"], *data["alternatives"]):
        variant["solution"] = calls
    data["checks"] = [{"kind": name, **kind.example} for name, kind in KINDS.items()]
    for check in data["checks"]:
        if check["kind"] == "unchanged":
            check["path"] = given_file
    return data


class Shape(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.copy_location(ast.Constant(type(node.value).__name__), node)


def shape(source: str) -> str:
    return ast.dump(Shape().visit(ast.parse(source)))


def with_texts(data: Any, change: Any, key: str = "") -> Any:
    """The data with every free text changed; what the form restricts (names, paths, kinds) is left."""
    fixed = {"id", "subtask", "kind", "path", "paths", "module", "function", "desk", "family", "seed", "table", "field"}
    if key in fixed:
        return data
    if isinstance(data, str):
        return change(data)
    if isinstance(data, list) and len(data) == 2 and data[0] in ("show", "find", "change"):
        return data
    if isinstance(data, list):
        return [with_texts(each, change, key) for each in data]
    if isinstance(data, dict):
        return {name: with_texts(each, change, name) for name, each in data.items()}
    return data


HOSTILE = st.one_of(
    st.sampled_from(
        ['"', "'", '"""', "'''", "\\", "\n", "\r", "{x}", "{}", "\\N{BULLET}",
         "__import__('os').system('id')", "\u2028", "#", "f'{1}'", "\U0001f600",
         "'''); import os; os.system('id'); ('''",
         "\\'", "%s", "\t", "\\u0041", "\\\n", "\x1a"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12),
)  # fmt: skip


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HOSTILE, min_size=1, max_size=6).map("".join), st.sampled_from(["every", "service", "git", "repair"]))
def test_a_thousand_hostile_proposals_change_no_syntax_tree(text: str, kind: str) -> None:
    plain = {**(every_kind() if kind == "every" else made(kind)), "answer": "x"}
    hostile = with_texts(plain, lambda old: old + text)
    assert form_problems(hostile) == []
    assert shape(render_test(proposal_of(hostile))) == shape(render_test(proposal_of(plain)))


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, min_size=0, max_size=12).map("".join))
def test_a_text_is_itself_as_python_and_as_toml(text: str) -> None:
    import tomllib

    assert ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(block(text, "    ")) == text
    assert ast.literal_eval(block({"a": [text, {"b": text}]})) == {"a": [text, {"b": text}]}
    assert literal(text).isascii()
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert tomllib.loads(f"x = {toml_value(text)}")["x"] == text
        assert tomllib.loads(toml_document({"k": {text or "e": [text]}}))["k"] == {text or "e": [text]}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6, 7])
def test_families_keep_the_form_their_seed_and_their_steps(family: str, steps: int) -> None:
    for seed in map(str, range(12)):
        data = made(family, seed, steps)
        assert form_problems(data) == []
        assert data == made(family, seed, steps)
        proposal = proposal_of(data)
        assert len(proposal.solution) == steps
        assert data["origin"] == {"family": family, "seed": seed}
        for variant in (*proposal.mutants, *proposal.alternatives):
            assert variant.solution != proposal.solution or family == "service"
        compile(render_test(proposal), "test", "exec")
    assert made(family, "1", steps) != made(family, "2", steps)


def test_what_all_families_need_is_in_one_conftest() -> None:
    proposals = [proposal_of(made(family)) for family in FAMILIES]
    tree = ast.parse(render_conftest(proposals))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    assert {"given", "open_desk", "Desk", "find", "show", "change"} == names
    assert "Desk" not in render_conftest(proposals[:1])


def test_the_declared_ways_are_written_for_later_checks() -> None:
    import tomllib

    proposal = proposal_of(made("service"))
    variants = tomllib.loads(render_variants([proposal]))["variant"]
    assert [each["must"] for each in variants] == ["fail", "fail", "pass"]
    assert variants[0]["task"] == "test_service_1.py::test_service_1"
    assert variants[0]["solution"] == [[name, dict(arguments)] for name, arguments in proposal.mutants[0].solution]  # type: ignore[misc]


def refused(change: Any) -> str:
    data = made("tables")
    change(data)
    return " ".join(form_problems(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["checks"].append({"kind": "python", "code": "import os"}), "no check of the kind 'python'"),
        (lambda d: d["files"].update({"../../etc/cron.d/x": "y"}), "relative path"),
        (lambda d: d["files"].update({"/etc/passwd": "y"}), "relative path"),
        (lambda d: d["files"].update({"a/.git/hooks/x": "y"}), "relative path"),
        (lambda d: d["files"].update({"x": "y", "x/y": "z"}), "is a file and a folder"),
        (lambda d: d.update(id="x; import os"), "`id` must be lower-case"),
        (lambda d: d.update(subtask="X"), "`subtask` must be lower-case"),
        (lambda d: d.update(prompt=" "), "`prompt` is empty"),
        (lambda d: d.update(prompt=None), "`prompt` must be a JSON string"),
        (lambda d: d.pop("mutants"), "`mutants` is missing"),
        (lambda d: d.update(mutants=d["mutants"][:1]), "at least 2 of `mutants`"),
        (lambda d: d.update(alternatives=[]), "at least 1 of `alternatives`"),
        (lambda d: d.update(checks=[]), "`checks` is empty"),
        (lambda d: d.update(checks=["file-equals"]), "no check of the kind None"),
        (lambda d: d.update(checks=[{"kind": ["answer"]}]), "no check of the kind"),
        (lambda d: d.update(solution=[""]), "not empty"),
        (lambda d: d.update(solution=[], answer=""), "neither `solution` nor `answer`"),
        (lambda d: d.update(code="import os"), "has no `code`"),
        (lambda d: d.update(title="a\x00b"), "null character"),
        (lambda d: d.update(title="\ud800"), "surrogate"),
        (lambda d: d["checks"].append({"kind": "unchanged", "path": "other"}), "no given file"),
        (lambda d: d["checks"].append({"kind": "desk", "changes": {}}), "needs a `desk`"),
        (lambda d: d["checks"].append({"kind": "call", "module": "os.path", "function": "f", "cases": []}), "module"),
        (lambda d: d["checks"].append({"kind": "number", "value": float("nan"), "tolerance": 0}), "cannot be kept"),
        (lambda d: d["checks"].append({"kind": "answer", "text": "a", "code": "x"}), "takes no `code`"),
        (lambda d: d.update(origin={"family": 7}), "`origin`"),
        (lambda d: d.update(desk={"orders": {}}), "calls of the desk's tools"),
    ],
)
def test_what_is_no_proposal_is_refused_with_its_reason(change: Any, said: str) -> None:
    assert said in refused(change)


def test_what_is_no_json_is_never_guessed() -> None:
    for text in (None, "", "  ", "{'a': 1}", '{"a": NaN}', "[1, 2", "[" * 100_000):
        with pytest.raises(NotJson):
            parse(text)
    assert parse('So:\n```json\n{"a": 1}\n```\nDone.') == {"a": 1}


def test_near_duplicates_are_those_of_the_same_words() -> None:
    one = proposal_of(made("repair", "1"))
    same = proposal_of({**copy.deepcopy(made("repair", "1")), "id": "other"})
    assert nearest_of(one, [same]) == ("other", 1.0)
    assert nearest_of(one, [proposal_of(made("git", "1"))]) is None
