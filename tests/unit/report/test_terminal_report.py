from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made_records import CELL, OTHER, attempt, retry, task, task_of, tool_call

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.record import figures
from pytest_agenteval.record.cost import Cost
from pytest_agenteval.record.outcomes import Cause
from pytest_agenteval.record.records import Cell, TaskRecord
from pytest_agenteval.report.terminal import Line, failure_lines, report_lines
from pytest_agenteval.report.text_table import shorten_middle


def report(*records: TaskRecord, width: int = 100, gates: GateSettings | None = None, **more: Any) -> list[Line]:
    return report_lines(judge_run(records, gates or GateSettings()), width=width, **more)


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def row(lines: list[Line], name: str) -> Line:
    (found,) = [line for line in lines if line.text.startswith(f"{name} ")]
    return found


SUITE = (
    task("pppp", name="suite/test_repair.py::test_repairs", cost=0.01),
    task_of(
        attempt("p", 1, 0.02),
        attempt("p", 2, 0.02, retries=(retry(0.02),)),
        attempt("f", 3, 0.02, tool_calls=(tool_call("timeout"), tool_call(exit_code=1))),
        attempt("l", 4, 0.02),
        name="suite/test_repair.py::test_parses",
        min_pass_rate=0.5,
    ),
    task("ffff", name="suite/test_repair.py::test_merges", cost=0.03),
)


def test_a_whole_report() -> None:
    assert text(report(*SUITE, gates=GateSettings(min_pass_k=0.3, max_env_error_rate=0.1), selected=(3, 9))) == (
        """\
openai/gpt-5-mini · react, k = 4, suite/test_repair.py
task          c/n  pass@1  pass^4  tool  env  $/attempt  verdict
test_repairs  4/4   1.000   1.000     0    0    $0.0100  all
test_parses   2/4   0.500   0.000     1    1    $0.0250  PASS
test_merges   0/4   0.000   0.000     0    0    $0.0300  none
tool: tool-call failures; env: environment errors, repeated tries included. Measured, not judged:
all, some (~) or none of the attempts passed.
  pass@1 0.500 | pass^4 0.333 | gap 0.167
  this suite, re-run (95%): pass@1 0.254 to 0.746, pass^4 0.022 to 0.511
  tasks like these (95%): pass@1 0.125 to 0.875, pass^4 0.061 to 0.792
  pass^1 to pass^4: 0.500 0.389 0.333 0.333
  total cost $0.260 | per success $0.0433 | per reliable task $0.260
  tool-call failures 1 of 2 calls (50.0%: bash timeout 1) | non-zero exits 1
  environment errors 1 of 13 tries (7.7%)

3 of 9 tasks selected
PASS      --min-pass-k: pass^4 is 0.333; at least 0.3 was asked for
PASS      --agent-max-env-error-rate: 1 of 13 tries met an environment error; at most 0.1 was
          allowed
PASS      min_pass_rate: 1 of 1 judged task passed
exit 0: all gates and judged tasks passed"""
    )


def test_failing_rows_are_red_undecided_ones_yellow_and_the_rest_plain() -> None:
    lines = report(
        task("pp", name="t.py::test_good"),
        task("pf", name="t.py::test_bad"),
        task("pe", name="t.py::test_open"),
        task("bb", name="t.py::test_broken"),
        task("s", name="t.py::test_skipped"),
    )
    rows = {name: row(lines, f"test_{name}") for name in ("good", "bad", "open", "broken", "skipped")}
    assert {name: line.text.split()[-1] for name, line in rows.items()} == {
        "good": "PASS",
        "bad": "FAIL",
        "open": "UNDECIDED",
        "broken": "BROKEN",
        "skipped": "skipped",
    }
    assert {name: dict(line.markup) for name, line in rows.items()} == {
        "good": {},
        "bad": {"red": True},
        "open": {"yellow": True},
        "broken": {"red": True},
        "skipped": {},
    }


def test_a_mixed_task_that_is_not_judged_has_a_mark_of_its_own() -> None:
    lines = report(task("pf", name="t.py::test_a"), gates=GateSettings(min_pass_k=0.0), width=160)
    assert row(lines, "test_a").text.endswith(" ~")
    assert "Measured, not judged: all, some (~) or none of the attempts passed." in text(lines)


def thin(letters: str, k: int, name: str) -> TaskRecord:
    ran = [attempt(letter, n, 0.01, wall_seconds=30.0) for n, letter in enumerate(letters, 1)]
    rest = [attempt("n", n, cause=Cause.DECIDED) for n in range(len(letters) + 1, k + 1)]
    return task_of(*ran, *rest, name=f"t.py::{name}")


def test_a_whole_report_of_a_run_that_stopped_early() -> None:
    """A task with 1 of 1 is not called one that passed all."""
    records = [thin("pppp", 4, "test_a"), thin("pf", 4, "test_b"), thin("p", 4, "test_c"), thin("", 4, "test_d")]
    assert text(report(*records, gates=GateSettings(min_pass_k=0.9), width=80)) == (
        """\
openai/gpt-5-mini · react, k = 4, t.py
task         c/n  pass@1  pass^4  tool  env  $/attempt  verdict
test_a       4/4   1.000   1.000     0    0    $0.0100  all
test_b  1/2 of 4       -       -     0    0    $0.0100  decided
test_c  1/1 of 4       -       -     0    0    $0.0100  decided
test_d  0/0 of 4       -       -     0    0          -  decided
tool: tool-call failures; env: environment errors, repeated tries included.
pass^4 is - where it is not measured (n < k). c/n of k, decided: the other
attempts could change no verdict, so they did not run. Measured, not judged:
all, some (~) or none of the attempts passed.
  pass@1 not measured (early stop) | pass^4 0.250 to 0.750 (guaranteed bounds)
  early stop: 9 of 16 attempts decided, so not run; that saved about $0.0900 and
    4.5 min of attempts, at the mean of those that ran
  total cost $0.0700
  tool-call failures 0 of 0 calls | non-zero exits 0
  environment errors 0 of 7 tries

FAIL      --min-pass-k: pass^4 lies between 0.250 and 0.750, whatever the 9
          decided attempts would show; at least 0.9 was asked for
PASS      --agent-max-env-error-rate: 0 of 7 tries met an environment error; at
          most 0.05 was allowed
exit 1: FAILED: --min-pass-k"""
    )


def test_a_judged_task_that_was_decided_keeps_its_verdict() -> None:
    shown = row(report(thin("pf", 4, "test_b")), "test_b").text.split()
    assert (shown[1:4], shown[-1]) == (["1/2", "of", "4"], "FAIL")


def test_the_rows_of_a_cell_do_not_name_it_again_and_what_one_copies_does() -> None:
    crew = Cell("agenteval/noisy", "crew")
    records = [
        task(letters, f"t.py::test_it[{crew.model}-{scaffold}{more}]", cell=Cell(crew.model, scaffold))
        for scaffold in ("react", "crew")
        for letters, more in (("pp", ""), ("pe", "-3"))
    ]
    lines = report(*records, width=160)
    assert [line.text.split()[0] for line in lines if line.text.startswith("test_it")] == ["test_it", "test_it[3]"] * 2
    assert "missing: t.py::test_it[agenteval/noisy-crew-3] attempt 2" in text(lines)


def test_what_is_not_measured_is_said_and_never_shown_as_a_number() -> None:
    lines = report(task("pppe", name="t.py::test_a"))
    assert row(lines, "test_a").text.split() == ["test_a", "3/3", "1.000", "-", "0", "1", "$0", "UNDECIDED"]
    assert "pass@1 1.000 | pass^4 not measured (n < k)" in text(lines)
    nothing = text(report(task("eeee", name="t.py::test_a")))
    assert "pass@1 not measured (no attempt counts) | pass^4 not measured (n < k)" in nothing
    assert "per success - (no attempt passed)" in nothing
    assert "per reliable task - (no task passed all 4 attempts)" in nothing


def test_missing_and_broken_attempts_are_named_with_their_task() -> None:
    shown = text(report(task("peepnnnb", name="t.py::test_a", k=9)))
    assert (
        "  missing: t.py::test_a attempts 2-3 (environment error: sandbox); attempts 5-7 (not run: budget);\n"
        "    attempt 9 (not run)\n"
    ) in shown
    assert "  broken: t.py::test_a attempt 8\n" in shown


def test_hundreds_of_tasks_that_never_started_take_one_line() -> None:
    never = [task("", name=f"t.py::test_{n}", k=4) for n in range(200)]
    lines = report(task("pn", name="t.py::test_first", k=4), *never, task("pp", name="t.py::test_half", k=4))
    shown = [line.text.strip() for line in lines if "missing: " in line.text]
    assert shown == [
        "missing: t.py::test_first attempt 2 (not run: budget); attempts 3-4 (not run)",
        *(f"missing: t.py::test_{n} attempts 1-4 (not run)" for n in range(5)),
        "missing: attempts 1-4 (not run) of 195 more tasks",
        "missing: t.py::test_half attempts 3-4 (not run)",
    ]
    six = report(*never[:6])
    assert sum("missing: " in line.text for line in six) == 6


def test_the_curve_never_rises_because_tasks_lack_attempts() -> None:
    """All three tasks have two attempts, and only the one that always passes has more."""
    shown = text(report(task("pppp", name="t.py::a"), task("pp", name="t.py::b", k=4), task("ff", name="t.py::c", k=4)))
    assert "\n  pass^1 to pass^4: 0.667 0.667 - -\n" in shown


def test_worst_and_best_case_stand_beside_the_estimate() -> None:
    shown = text(report(task("pp", name="t.py::test_a"), task("pe", name="t.py::test_b")))
    assert "worst and best case over 1 attempt not measured: pass@1 0.750 to 1.000, pass^2 0.500 to 1.000" in shown
    assert "pass^2 leaves out 1 of 2 tasks (n < k)" in shown
    assert "gap 0.000 (over the 1 task with n >= 2)" in shown


def test_unknown_costs_are_words_and_lower_bounds_are_marked() -> None:
    unpriced = text(report(task_of(attempt("p", cost=None), attempt("p", 2, cost=0.5))))
    assert "total cost unpriced (1 call without a price, at least $0.500)" in unpriced
    assert "per success unpriced" in unpriced
    lost = text(report(task_of(attempt("p", cost=0.5, lost_calls=1))))
    assert "total cost ≥ $0.500 (1 call without an answer, perhaps billed)" in lost


def test_cells_stand_side_by_side() -> None:
    lines = report(task("pf", cost=0.1), task("pp", cell=OTHER, cost=0.2))
    texts = [line.text for line in lines]
    start = texts.index("Cells side by side")
    assert [" ".join(line.split()) for line in texts[start + 1 : start + 20]] == [
        "openai/gpt-5-mini anthropic/claude-haiku-4-5",
        "tasks 1 1",
        "pass@1 0.500 1.000",
        "pass^2 0.000 1.000",
        "gap 0.500 0.000",
        "total cost $0.200 $0.400",
        "$/attempt $0.100 $0.200",
        "$/success $0.200 $0.200",
        "$/reliable task - $0.400",
        "tool-call failures - -",
        "environment errors 0.0% 0.0%",
        "front pass@1, pass^2 pass@1, pass^2",
        "verdict FAIL PASS",
        "total cost of all cells $0.600",
        "front of cost and pass@1 (no other cell, nor a mix of two, is both cheaper and better), over 1",
        "common task: openai/gpt-5-mini, anthropic/claude-haiku-4-5",
        "front of cost and pass^2 (no other cell is both cheaper and better): openai/gpt-5-mini,",
        "anthropic/claude-haiku-4-5",
        "cost spread of a task across cells: 2.0 times in the median, at most 2.0 times (t.py::test_it:",
    ]


def test_a_broken_cell_is_not_called_undecided() -> None:
    texts = [line.text for line in report(task("pb"), task("pp", cell=OTHER))]
    (verdict,) = [line.split() for line in texts if line.startswith("verdict")]
    assert verdict == ["verdict", "BROKEN", "PASS"]


def test_the_same_model_in_two_scaffolds_is_named_with_them() -> None:
    shown = text(report(task("p"), task("p", cell=Cell(CELL.model, "codex"))))
    assert "openai/gpt-5-mini · react  openai/gpt-5-mini · codex" in shown


def test_each_note_is_told_once_with_whom_it_concerns() -> None:
    local = ("not isolated",)
    shown = text(
        report(task("p", name="a", notes=local), task("p", name="b", notes=(*local, "slow")), notes=["seeded"])
    )
    assert "note: seeded\nnote: not isolated\nnote: b: slow\n" in shown


def test_a_likely_bug_in_the_test_is_noted() -> None:
    wrong = {"exception": "KeyError", "where": "t.py:12"}
    shown = text(report(task_of(attempt("f", **wrong), attempt("f", 2, **wrong))))
    assert "note: t.py::test_it: looks like a bug in the test: KeyError at t.py:12 in every attempt" in shown


def test_judged_tasks_that_did_not_pass_have_their_reason_and_many_are_cut() -> None:
    shown = [line.text for line in report(*(task("f", name=f"t.py::test_{i}") for i in range(25)))]
    assert "FAIL      t.py::test_0 (min_pass_rate): 0 of 1 attempt passed; all were asked for" in shown
    assert sum(line.startswith("FAIL ") for line in shown) == 20
    assert "          0 of 25 judged tasks passed; the table shows 5 more that did not" in shown


@pytest.mark.parametrize(
    ("records", "expected", "colour"),
    [
        ((task("p"),), "exit 0: all gates and judged tasks passed", "green"),
        ((task("f"),), "exit 1: FAILED: t.py::test_it (min_pass_rate)", "red"),
        ((task("b"),), "exit 1: FAILED: 1 attempt is broken", "red"),
        (
            (task("c"),),
            "exit 10: INCOMPLETE: 1 attempt was cancelled; UNDECIDED: t.py::test_it (min_pass_rate)",
            "yellow",
        ),
    ],
)
def test_the_last_line_says_how_the_session_ends(records: tuple[TaskRecord], expected: str, colour: str) -> None:
    last = report(*records)[-1]
    assert last.text == expected
    assert dict(last.markup) == {colour: True, "bold": True}


def test_a_run_without_records_is_its_gates_and_its_end() -> None:
    assert text(report(gates=GateSettings(min_pass_k=0.5))) == (
        "UNDECIDED --min-pass-k: nothing to judge: no task was evaluated\nexit 10: UNDECIDED: --min-pass-k"
    )


def test_with_one_attempt_a_task_the_report_says_what_that_cannot_show() -> None:
    assert "with k = 1 pass^1 is pass@1: --k=8 shows how reliable it is" in text(report(task("p")))


def test_a_long_curve_is_shown_at_powers_of_two() -> None:
    assert "pass^j: j=1 1.000, j=2 1.000, j=4 1.000, j=8 1.000, j=16 1.000, j=20 1.000" in text(report(task("p" * 20)))


names = st.builds(
    lambda parts, test: "/".join([*parts, "test_x.py"]) + "::" + test,
    st.lists(st.text("abc_", min_size=1, max_size=20), max_size=3),
    st.text("test_[]-", min_size=1, max_size=120),
)


@given(
    st.lists(
        st.tuples(names, st.text("pflebncs", min_size=1, max_size=10)), min_size=1, max_size=5, unique_by=lambda t: t[0]
    ),
    st.integers(60, 200),
    st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(tasks: list[tuple[str, str]], width: int, two_cells: bool) -> None:
    records = [task(letters, name=name, cost=None if "l" in letters else 123456.789) for name, letters in tasks]
    records += [task(letters, name=name, cell=OTHER) for name, letters in tasks if two_cells]
    gates = GateSettings(min_pass_k=0.5, max_cost=5.0, max_cost_per_attempt=0.1, max_tool_failure_rate=0.1)
    for line in report(*records, width=width, gates=gates, selected=(1, 2), notes=["x " * 200]):
        assert len(line.text) <= width
        assert "\n" not in line.text
    for asked in (GateSettings(), gates):
        assert text(report(*records, width=width, gates=asked)).count("exit ") == 1


def test_a_narrow_terminal_keeps_every_number_and_gives_names_a_line_of_their_own() -> None:
    lines = [line.text for line in report(*SUITE, width=60)]
    assert lines[1].split() == ["c/n", "pass@1", "pass^4", "tool", "env", "$/attempt", "verdict"]
    assert lines[4] == "test_parses"
    assert lines[5].split() == ["2/4", "0.500", "0.000", "1", "1", "$0.0250", "PASS"]


def test_a_long_name_is_shortened_in_its_middle() -> None:
    assert shorten_middle("abcdefghijklmnop", 16) == "abcdefghijklmnop"
    assert shorten_middle("abcdefghijklmnop", 12) == "abc...klmnop"
    assert [len(shorten_middle("x" * 50, width)) for width in range(1, 50)] == list(range(1, 50))


def test_failure_lines_group_attempts_that_ended_alike() -> None:
    wrong = {"message": "assert '4' == '5'\n  - 5\n  + 4", "exception": "AssertionError", "where": "t.py:12"}
    record = task_of(
        attempt("p", 1),
        attempt("f", 2, **wrong, last_steps=("bash: ls", "submit: 4"), tool_calls=(tool_call("timeout"),)),
        attempt("l", 3, message="50 turns", log="logs/a.eval"),
        attempt("f", 4, **wrong, tool_calls=(tool_call("timeout"), tool_call("parsing"))),
        attempt("e", 5, message="the daemon is gone", retries=(retry(), retry())),
        attempt("f", 6, message="killed: out of memory", cause=Cause.SANDBOX_EXHAUSTED),
        k=7,
    )
    assert text(failure_lines(record)) == (
        """\
1 of 5 attempts passed
attempts 2, 4: failed
  AssertionError at t.py:12
  assert '4' == '5'
    - 5
    + 4
  tool-call failures: bash timeout 2, bash parsing 1
  what the agent did last in attempt 2:
    bash: ls
    submit: 4
attempt 3: limit (turns)
  50 turns
  log: logs/a.eval
attempt 5: environment error (sandbox)
  the daemon is gone
  repeated after an environment error (sandbox), 2x: the container is gone
attempt 6: failed (sandbox exhausted)
  killed: out of memory
attempt 7: did not run, no record"""
    )


def test_an_attempt_is_found_in_its_log_under_the_number_it_has_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old, far = str(tmp_path / "logs" / "old.eval"), "/elsewhere/far.eval"
    told = text(
        failure_lines(
            task_of(
                attempt("l", 2, log=old).renumbered(1),
                attempt("f", 2, log=old),
                attempt("f", 3, log="logs/new.eval"),
                attempt("f", 2, log=far).renumbered(4),
                attempt("f", 1, log=far).renumbered(5),
                attempt("f", 3, log="s3://bucket/a.eval").renumbered(6),
            )
        )
    )
    assert [line.strip() for line in told.splitlines() if "log:" in line] == [
        "log: logs/old.eval (attempt 2 there)",
        "log: logs/old.eval",
        "log: logs/new.eval",
        "log: /elsewhere/far.eval (attempts 4, 5 are 2, 1 there)",
        "log: s3://bucket/a.eval (attempt 6 is 3 there)",
    ]


@pytest.mark.parametrize("letters", ["pp", "ss"])
def test_where_nothing_went_wrong_there_is_nothing_to_tell(letters: str) -> None:
    assert failure_lines(task(letters)) == []


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0.0, "$0"),
        (0.01234, "$0.0123"),
        (0.000123, "$0.000123"),
        (0.5, "$0.500"),
        (0.9994, "$0.999"),
        (0.9999, "$1.00"),
        (1.239, "$1.24"),
        (99.994, "$99.99"),
        (99.996, "$100"),
        (320.4, "$320"),
        (12345.6, "$12,346"),
        (1e-12, "$1.0e-12"),
    ],
)
def test_money_has_the_digits_that_say_something(amount: float, expected: str) -> None:
    assert figures.dollars(amount) == expected
    assert figures.cost(Cost(amount)) == expected


def test_an_unknown_amount_has_no_digits() -> None:
    assert figures.cost(None) == "-"
    assert figures.cost(Cost(1.0, unpriced_calls=1)) == "unpriced"
    assert figures.cost(Cost(1.0, lost_calls=1)) == "≥ $1.00"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_number_beside_a_threshold_lies_on_its_side_as_far_as_digits_go(value: float, threshold: float) -> None:
    shown = float(figures.rate_beside(value, threshold))
    assert (shown > threshold) == (value > threshold)
    assert (shown < threshold) == (value < threshold)


@pytest.mark.parametrize(
    ("number", "expected"), [(0.7, "0.7"), (5.0, "5"), (100.0, "100"), (0.0001, "0.0001"), (0.0, "0"), (0.125, "0.125")]
)
def test_a_threshold_is_shown_as_it_was_typed(number: float, expected: str) -> None:
    assert figures.written(number) == expected


def test_runs_of_numbers_are_drawn_together() -> None:
    assert figures.number_ranges([7, 2, 5, 6, 2]) == "2, 5-7"
