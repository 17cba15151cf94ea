"""JUnit files for the widgets of CI systems: pytest's own, amended, and one of stored attempts.

In both a `<failure>` is a failure of the agent, an `<error>` a broken test or an undecided task, and `<skipped>` what
was skipped, failed as expected or was not needed. GitLab shows no `<skipped>` in a merge request, and no attribute
`message`: so what is undecided is an `<error>`, and each text begins with its message. A suite of its own has the gates
and the verdict of the run: it has no failure and no error only where the exit status is 0.

pytest writes `<error>` for failures outside a test's call, but all attempts run in the call. There is no hook for this,
so pytest's file is read again after pytest has written it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.etree import ElementTree

from pytest_agenteval.estimate.task import Expectation, TaskSummary
from pytest_agenteval.judge import GateResult, Verdict
from pytest_agenteval.judge.exit_status import FAILED, OK
from pytest_agenteval.judge.judgement import Judgement
from pytest_agenteval.record.records import Cell
from pytest_agenteval.redaction import redact, redact_around
from pytest_agenteval.report.failures import failure_lines
from pytest_agenteval.report.log_places import log_place

__all__ = ["TASK_PROPERTY", "amended", "junit_document"]

TASK_PROPERTY = "agent_task"
"""The property of a testcase that says which task it is: pytest's node id."""
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow."""


def amended(document: str, judgement: Judgement, secrets: Collection[str] = ()) -> str:
    """pytest's document with errors separated from failures, with gates and totals of the run, and without secrets.

    Args:
        document: pytest's JUnit document.
        judgement: the judgement of the run.
        secrets: values to redact wherever they stand.

    Raises:
        xml.etree.ElementTree.ParseError: the document is not XML.
    """
    root = ElementTree.fromstring(document.encode())
    records = {redact(record.task, secrets): record for record in judgement.records}
    endings = {redact(task.task, secrets): ending for task, ending in _endings(judgement)}
    broken = {redact(task.task, secrets) for task in judgement.run.tasks if task.broken}
    agents = False
    logs = {log_place(attempt.log) for record in judgement.records for attempt in record.attempts if attempt.log}
    for suite in root.iter("testsuite"):
        found = False
        for case in suite.iter("testcase"):
            task = next((p.get("value") for p in case.iter("property") if p.get("name") == TASK_PROPERTY), None)
            if task is None:
                continue
            found = True
            task = redact(task, secrets)
            if task in broken:
                _turn(suite, case, "failure", "failures")
            elif (ending := endings.get(task)) is not None and ending[0] == "error":
                why = "\n".join(line.text for line in failure_lines(records[task]))
                _turn(suite, case, "skipped", "skipped", why)
            _redact(case, secrets, logs)
        if found:
            _add_totals(suite, judgement)
        agents = agents or found
    if agents:
        root.append(_gate_suite(judgement))
    return _written(root)


def junit_document(judgement: Judgement) -> str:
    """The verdicts on stored attempts as a document of its own, with the names that pytest gives its test cases."""
    records = {(record.cell, record.task): record for record in judgement.records}
    cases = []
    names: set[tuple[str, str]] = set()
    for task, ending in _endings(judgement):
        file, where, name = _address(task.task)
        if (where, name) in names:  # of cases with one name GitLab keeps the first
            name += f" [{task.cell}]"
        names.add((where, name))
        case = ElementTree.Element("testcase", classname=_legal(where), name=_legal(name), file=_legal(file))
        case.set("time", f"{task.wall_seconds:.3f}")
        if ending is not None:
            lines = [line.text for line in failure_lines(records[task.cell, task.task])]
            _add_ending(case, *ending, lines)
        cases.append(case)
    root = ElementTree.Element("testsuites", name="agent evaluation")
    if cases:
        suite_of_tasks = _suite("agent tasks", cases)
        _add_totals(suite_of_tasks, judgement)
        root.append(suite_of_tasks)
    root.append(_gate_suite(judgement))
    return _written(root)


def _address(task: str) -> tuple[str, str, str]:
    """The file, class name and name of a node id; a parameter may contain anything."""
    path, bracket, parameters = task.partition("[")
    file, *classes, name = path.split("::") if "::" in path else ("", path)
    return file, ".".join([file.removesuffix(".py").replace("/", "."), *classes]), f"{name}{bracket}{parameters}"


_Ending = tuple[str, str]
"""The element of a test case and its message."""


def _endings(judgement: Judgement) -> list[tuple[TaskSummary, _Ending | None]]:
    """Each task with its ending; None if it passed, or was measured and not judged."""
    gates = {(gate.cell, gate.task): gate for gate in judgement.gates if gate.task is not None}
    return [(task, _ending(task, gates.get((task.cell, task.task)))) for task in judgement.run.tasks]


def _ending(task: TaskSummary, gate: GateResult | None) -> _Ending | None:
    if task.broken:
        return "error", "the test is broken"
    if task.skipped:
        return "skipped", "skipped"
    if gate is not None and gate.verdict is not Verdict.PASS:
        fails = gate.verdict is Verdict.FAIL
        return ("failure", gate.reason) if fails else ("error", f"undecided: {gate.reason}")
    if task.expected is Expectation.XFAILED:
        return "skipped", "it failed, as expected"
    if task.n or gate is not None:
        return None
    if task.decided:
        return "skipped", "not needed: every verdict was already fixed"
    return "error", "undecided: no attempt could be evaluated"


def _gate_suite(judgement: Judgement) -> ElementTree.Element:
    """The gates, and the verdict of the run, which fails or errs wherever the exit status is not 0."""
    several = len(judgement.run.cells) > 1
    cases = []

    def add(name: str, cell: Cell | None, verdict: Verdict, reason: str, *lines: str) -> None:
        shown = f"{name} [{cell}]" if cell is not None and several else name
        case = ElementTree.Element("testcase", classname="agent gates", name=_legal(shown), time="0")
        if verdict is not Verdict.PASS:
            _add_ending(
                case, "failure" if verdict is Verdict.FAIL else "error", f"{verdict.value}: {reason}", list(lines)
            )
        cases.append(case)

    for gate in judgement.gates:
        if gate.task is None:
            add(gate.name, gate.cell, gate.verdict, gate.reason)
    status = judgement.status
    verdict = {OK: Verdict.PASS, FAILED: Verdict.FAIL}.get(status.code, Verdict.UNDECIDED)
    add("the run", None, verdict, f"exit {status.code}: {status.reason}", *judgement.run.incomplete)
    return _suite("agent gates", cases)


def _add_ending(case: ElementTree.Element, tag: str, message: str, lines: list[str]) -> None:
    element = ElementTree.SubElement(case, tag, message=_legal(message))
    element.text = _legal("\n".join([message, *lines]))


def _suite(name: str, cases: list[ElementTree.Element]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=name, tests=str(len(cases)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")
    suite.extend(cases)
    return suite


def _written(root: ElementTree.Element) -> str:
    return f'<?xml version="1.0" encoding="utf-8"?>{ElementTree.tostring(root, encoding="unicode")}'


def _legal(text: str) -> str:
    return _ILLEGAL.sub("", text)


def _turn(suite: ElementTree.Element, case: ElementTree.Element, tag: str, count: str, why: str | None = None) -> None:
    """Turn the element of a test case into `<error>`, and count it as one."""
    for element in case.findall(tag):
        if element.get("type") == "pytest.xfail":
            continue
        element.tag = "error"
        element.attrib.pop("type", None)
        if why is not None:
            element.text = _legal(f"{element.text or ''}\n{why}")
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
            ElementTree.SubElement(properties, "property", name=_legal(name), value=str(value))
