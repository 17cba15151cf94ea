"""Findings about the suite as a whole, which need no play: pins, near-duplicates, history, the power of gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agenteval.check.alike import clusters
from pytest_agenteval.check.facts import Task
from pytest_agenteval.check.findings import SUITE, Finding, Status
from pytest_agenteval.check.history import History, item_rest, standings
from pytest_agenteval.check.pins import unpinned, unpinned_image
from pytest_agenteval.record.figures import joined, plural

if TYPE_CHECKING:
    from pytest_agenteval.judge import GateSettings

__all__ = ["SuiteVerdicts", "judge_suite", "stored_history"]


@dataclass(slots=True)
class SuiteVerdicts:
    """What is found out about the suite, rule by rule."""

    findings: list[Finding] = field(default_factory=list)
    assessed: dict[str, Status] = field(default_factory=dict)


def judge_suite(
    tasks: Sequence[Task],
    root: Path,
    history: History | None = None,
    gates: GateSettings | None = None,
    k: int = 1,
    must_see: float = 0.1,
) -> SuiteVerdicts:
    """What can be said without a play of its own.

    Args:
        tasks: those that were collected.
        root: pytest's rootdir.
        history: stored attempts of real agents; None if there are none to look at.
        gates: those of the ini file or the command line; None without any.
        k: attempts at each task that the gates judge.
        must_see: the drop of pass@1 that a gate must find.
    """
    verdicts = SuiteVerdicts()
    judged = [task for task in tasks if task.skip is None]
    _judge_pins(verdicts, judged, root)
    _judge_alike(verdicts, judged)
    if history is not None:
        _judge_history(verdicts, {task.name: task for task in judged}, history)
    if gates is not None and judged:
        _judge_power(verdicts, judged, history or {}, gates, k, must_see)
    return verdicts


def _judge_pins(verdicts: SuiteVerdicts, tasks: Sequence[Task], root: Path) -> None:
    verdicts.assessed["AE601"] = Status.OK
    for task in tasks:
        if task.image is not None and (why := unpinned_image(task.image)):
            verdicts.findings.append(Finding("AE601", task.name, f"{why}: pin it", task.file, task.line))
    for file in dict.fromkeys(task.sandbox_file for task in tasks if task.sandbox_file is not None):
        text = (root / file).read_text("utf-8", "replace")
        compose = Path(file).suffix in (".yaml", ".yml")
        for line, why in unpinned(text, compose=compose):
            message = f"{file}:{line}: {why}: pin it"
            verdicts.findings.append(Finding("AE601", SUITE, message, file, line, subject=f"{file} {why}"))


def _judge_alike(verdicts: SuiteVerdicts, tasks: Sequence[Task]) -> None:
    known = {task.name: task for task in tasks if task.prompt}
    if len(known) > 1:
        verdicts.assessed["AE701"] = Status.OK
    texts = {name: "\n".join([task.prompt, *task.texts.values()]) for name, task in known.items()}
    for names, least in clusters(texts):
        first = known[names[0]]
        message = f"{len(names)} tasks are nearly the same (similarity {least:.2f}): {joined(names)}"
        verdicts.findings.append(Finding("AE701", SUITE, message, first.file, first.line, subject=names[0]))


def _judge_history(verdicts: SuiteVerdicts, tasks: Mapping[str, Task], history: History) -> None:
    found = standings({name: history[name] for name in tasks if name in history})
    of = f"of the {plural(len(found.assessed), 'task')} with enough stored attempts"
    if found.assessed:
        verdicts.assessed |= dict.fromkeys(("AE801", "AE802", "AE803"), Status.OK)
    for rule, names, what in (
        ("AE801", found.saturated, "always passed: they tell agents apart no longer"),
        ("AE803", found.band, "passed between 30% and 70% of the time: they tell agents apart best"),
    ):
        if names:
            verdicts.findings.append(
                Finding(rule, SUITE, f"{len(names)} {of} {what}", tasks[names[0]].file, evidence=names)
            )
    for name in found.never:
        n = sum(attempts for attempts, _ in history[name].values())
        message = f"none of {n} stored attempts passed: read transcripts and the checker first"
        verdicts.findings.append(Finding("AE802", name, message, tasks[name].file, tasks[name].line))
    correlations = item_rest({name: history[name] for name in tasks if name in history})
    if correlations:
        verdicts.assessed["AE804"] = Status.OK
    for name, r in correlations.items():
        if r < 0:
            message = f"cells that do better on the other tasks do worse on this one (r = {r:.2f})"
            verdicts.findings.append(Finding("AE804", name, message, tasks[name].file, tasks[name].line))


def _judge_power(
    verdicts: SuiteVerdicts, tasks: Sequence[Task], history: History, gates: GateSettings, k: int, must_see: float
) -> None:
    from pytest_agenteval.plan.expect import POWER, PlannedTask, detections

    earlier = {name: _sums(cells) for name, cells in history.items()}
    planned = [PlannedTask(task.name, None, earlier.get(task.name), None, None) for task in tasks]
    shown = [each for each in detections(planned, k, gates) if each.before is not None]
    if shown:
        verdicts.assessed["AE901"] = Status.OK
    for each in shown:
        assert each.before is not None
        drop = None if each.after is None else each.before - each.after
        if drop is None or drop > must_see:
            sees = "no drop of pass@1 at all" if drop is None else f"a drop of pass@1 by {drop:.2f} and no smaller one"
            message = (
                f"{each.gate} with k = {k} on {plural(each.tasks, 'task')} finds {sees} "
                f"with {POWER:.0%} power; it must find {must_see:g}"
            )
            verdicts.findings.append(Finding("AE901", SUITE, message, tasks[0].file, subject=each.gate))


def _sums(cells: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(n for n, _ in cells.values()), sum(c for _, c in cells.values())


def stored_history(place: str, sources: Mapping[str, str | None]) -> History:
    """The attempts of real agents in logs, by task and cell.

    Left out are built-in models, runs that stopped early, and attempts at a task whose test had another source then.

    Args:
        place: a `.eval` log, or a directory of them.
        sources: by task, the digest of its test's source now.

    Raises:
        NotReady: the place cannot be read.
    """
    from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
    from pytest_agenteval.record.outcomes import Outcome

    found: dict[str, dict[str, tuple[int, int]]] = {}
    for log in read_all(each for each in read_headers(log_files(place)) if each.early_stop is None):
        then = {task.task: task for task in log.tasks}
        for nodeid, record in log.attempts:
            task = then.get(nodeid)
            if task is None or not record.outcome.counts or task.cell.rehearsed:
                continue
            name, cell = task.key
            if name not in sources or (None not in (task.source, sources[name]) and task.source != sources[name]):
                continue
            n, c = found.setdefault(name, {}).get(str(cell), (0, 0))
            found[name][str(cell)] = n + 1, c + (record.outcome is Outcome.PASSED)
    return found
