"""Amends pytest's JUnit file: separates the agent's failures from errors of something else, and adds totals.

pytest writes `<error>` for failures outside a test's call, but all attempts run in the call. There is no hook for this,
so the file is read again after pytest has written it. Of the elements of agent tasks

- a broken task's `<failure>` becomes `<error>`: the test is wrong, not the agent,
- `<skipped>` becomes `<error>` where environment errors left the task undecided,

and all others stay: `<failure>` for the agent's failures, `<skipped>` for what is undecided or was not needed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.etree import ElementTree

from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.redaction import redact, redact_around
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.log_places import log_place

__all__ = ["TASK_PROPERTY", "amended"]

TASK_PROPERTY = "agent_task"
"""The property of a testcase that says which task it is: pytest's node id."""
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


def amended(document: str, judgement: Judgement, secrets: Collection[str] = ()) -> str:
    """The document with errors separated from failures, with totals of the run as properties, and without secrets.

    Args:
        document: pytest's JUnit document.
        judgement: the judgement of the run.
        secrets: values to redact wherever they stand.

    Raises:
        xml.etree.ElementTree.ParseError: the document is not XML.
    """
    root = ElementTree.fromstring(document.encode())
    records = {redact(record.task, secrets): record for record in judgement.records}
    summaries = {redact(task.task, secrets): task for task in judgement.run.tasks}
    logs = {log_place(attempt.log) for record in judgement.records for attempt in record.attempts if attempt.log}
    for suite in root.iter("testsuite"):
        found = False
        for case in suite.iter("testcase"):
            task = next((p.get("value") for p in case.iter("property") if p.get("name") == TASK_PROPERTY), None)
            if task is None:
                continue
            found = True
            task = redact(task, secrets)
            summary = summaries.get(task)
            if summary is not None and summary.broken:
                _turn(suite, case, "failure", "failures")
            elif summary is not None and summary.environment_errors.stayed:
                why = "\n".join(line.text for line in failure_lines(records[task]))
                _turn(suite, case, "skipped", "skipped", why)
            _redact(case, secrets, logs)
        if found:
            _add_totals(suite, judgement)
    return f'<?xml version="1.0" encoding="utf-8"?>{ElementTree.tostring(root, encoding="unicode")}'


def _turn(suite: ElementTree.Element, case: ElementTree.Element, tag: str, count: str, why: str | None = None) -> None:
    """Turn the element of a test case into `<error>`, and count it as one."""
    for element in case.findall(tag):
        if element.get("type") == "pytest.xfail":
            continue
        element.tag = "error"
        element.attrib.pop("type", None)
        if why is not None:
            element.text = _ILLEGAL.sub("", f"{element.text or ''}\n{why}")
        for name, change in ((count, -1), ("errors", 1)):
            suite.set(name, str(int(suite.get(name, "0")) + change))


def _redact(case: ElementTree.Element, secrets: Collection[str], logs: Collection[str]) -> None:
    for element in case.iter():
        if element.text:
            element.text = redact_around(element.text, secrets, logs)
        for name, value in element.attrib.items():
            element.set(name, redact(value, secrets))


def _add_totals(suite: ElementTree.Element, judgement: Judgement) -> None:
    properties = suite.find("properties")
    if properties is None:
        properties = ElementTree.Element("properties")
        suite.insert(0, properties)
    run = judgement.run
    totals: list[tuple[str, object]] = [
        ("agent_verdict", judgement.status.verdict.value),
        ("agent_exit_status", judgement.status.code),
        ("agent_cost_usd", run.cost.total),
    ]
    for cell in run.cells:
        name = f"[{cell.cell}]" if len(run.cells) > 1 else ""
        totals += [
            (f"agent_pass_at_1{name}", cell.pass_at_1.value),
            (f"agent_pass_hat_{cell.k}{name}", cell.pass_hat_k.value),
        ]
    for name, value in totals:
        if value is not None:
            ElementTree.SubElement(properties, "property", name=_ILLEGAL.sub("", name), value=str(value))
