from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from support.made_records import attempt, task_of

from pytest_agenteval.judge import GateSettings
from pytest_agenteval.judge.judgement import judge_run
from pytest_agenteval.redaction import REDACTED
from pytest_agenteval.report.outgoing import clean_report, without_secrets

KEY = "sk-ant-api03-aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz"


def texts(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    if is_dataclass(data):
        return [text for field in fields(data) for text in texts(getattr(data, field.name))]
    return [text for part in data for text in texts(part)] if isinstance(data, tuple | list) else []


def test_no_text_of_a_judgement_keeps_a_key_and_every_number_stays() -> None:
    records = [
        task_of(
            attempt("p", 1, cost=0.25),
            attempt("f", 2, cost=0.5, message=f"got {KEY}", answer=KEY, last_steps=(f"bash({KEY})",)),
            name=f"t.py::test_it[{KEY}]",
            notes=(f"a note of {KEY}",),
        )
    ]
    judgement = judge_run(records, GateSettings())
    clean = without_secrets(judgement)
    assert any(KEY in text for text in texts(judgement))
    assert not any(KEY in text for text in texts(clean))
    assert clean.records[0].task == f"t.py::test_it[{REDACTED}]"
    assert clean.run.cost.total == 0.75
    assert [gate.verdict for gate in clean.gates] == [gate.verdict for gate in judgement.gates]
    assert clean.records[0].attempts[1].outcome is records[0].attempts[1].outcome


def test_what_holds_no_secret_is_the_same_object() -> None:
    judgement = judge_run([task_of(attempt("p"))], GateSettings())
    assert without_secrets(judgement, ("some-known-secret",)) is judgement


def test_mappings_and_sets_are_redacted_too() -> None:
    assert without_secrets({KEY: [KEY, 1, None], "a": {"b"}}) == {REDACTED: [REDACTED, 1, None], "a": {"b"}}


def failing(password: str) -> None:
    pem = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "-----END PRIVATE KEY-----"]
    try:
        raise ValueError(KEY)
    except ValueError as error:
        raise RuntimeError("\n".join([password, *pem])) from error


@pytest.mark.parametrize("style", ["long", "short", "native", "line", "no"])
def test_the_traceback_of_a_report_is_redacted_and_keeps_its_form(style: Any) -> None:
    try:
        failing("hunter2-of-mine")
    except RuntimeError:
        told = pytest.ExceptionInfo.from_exc_info(sys.exc_info())
    longrepr = told.getrepr(style=style, funcargs=True, showlocals=True, chain=True)
    report = pytest.TestReport("t.py::test_it", ("t.py", 1, "test_it"), {}, "failed", longrepr, "call")
    report.sections = [("Captured stdout call", f"printed {KEY}")]
    clean_report(report, ("hunter2-of-mine",))
    shown = report.longreprtext
    assert "RuntimeError" in shown
    for secret in (KEY, "hunter2-of-mine", "MIIEvQ"):
        assert secret not in shown
    assert report.capstdout == f"printed {REDACTED}"


def test_a_reason_to_skip_is_redacted() -> None:
    report = pytest.TestReport("t.py::t", ("t.py", 1, "t"), {}, "skipped", ("t.py", 1, f"Skipped: no {KEY}"), "call")
    clean_report(report)
    assert report.longrepr == ("t.py", 1, f"Skipped: no {REDACTED}")
