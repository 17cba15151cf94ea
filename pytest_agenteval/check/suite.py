"""Findings about the suite as a whole, which need no play: pins, near-duplicates, history, the power of gates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agenteval.check.alike import ALIKE, clusters
from pytest_agenteval.check.facts import Task
from pytest_agenteval.check.findings import SUITE, Finding, Status
from pytest_agenteval.check.history import History, item_rest, standings
from pytest_agenteval.check.holdout import judge_holdout
from pytest_agenteval.check.others import judge_guessing, judge_neighbours
from pytest_agenteval.check.pins import unpinned, unpinned_image
from pytest_agenteval.check.rules import Severity
from pytest_agenteval.record.figures import joined, plural
from pytest_agenteval.record.outcomes import Outcome

if TYPE_CHECKING:
    from pytest_agenteval.judge import GateSettings
    from pytest_agenteval.record.stored import StoredLog

__all__ = ["Store", "SuiteVerdicts", "counted", "judge_suite", "stored_history"]


@dataclass(frozen=True, slots=True)
class Store:
    """What is stored of real agents."""

    history: History | None = None
    """Their attempts, by task and cell; None if there are none to look at."""
    looks: Mapping[str, set[str]] = field(default_factory=dict)
    """By held-out task, the runs in which they met it."""
    in_the_open: Mapping[str, set[str]] = field(default_factory=dict)
    """Those runs in which it was not held out."""


@dataclass(slots=True)
class SuiteVerdicts:
    """What is found out about the suite, rule by rule."""

    findings: list[Finding] = field(default_factory=list)
    assessed: dict[str, Status] = field(default_factory=dict)


def judge_suite(
    tasks: Sequence[Task],
    root: Path,
    store: Store,
    gates: GateSettings | None = None,
    k: int = 1,
    must_see: float = 0.1,
) -> SuiteVerdicts:
    """What can be said of all tasks together.

    Args:
        tasks: those that were collected, with all their plays.
        root: pytest's rootdir.
        store: what is stored of real agents.
        gates: those of the ini file or the command line; None without any.
        k: attempts at each task that the gates judge.
        must_see: the drop of pass@1 that a gate must find.
    """
    verdicts = SuiteVerdicts()
    judged = [task for task in tasks if task.skip is None]
    _judge_pins(verdicts, judged, root)
    _judge_alike(verdicts, judged)
    verdicts.findings += judge_holdout(judged, store.looks, store.in_the_open, ALIKE)
    verdicts.assessed["AE902"] = Status.OK
    guessing, verdicts.assessed["AE206"] = judge_guessing(judged)
    verdicts.findings += guessing
    history = store.history
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
    found = clusters(texts)
    within = [names for names, _ in found if len({known[name].family for name in names}) == 1]
    for names, least in found:
        first = known[names[0]]
        if names not in within:
            message = f"{len(names)} tasks are nearly the same (similarity {least:.2f}): {joined(names)}"
            verdicts.findings.append(Finding("AE701", SUITE, message, first.file, first.line, subject=names[0]))
    if within:
        families = len(known) - sum(len(names) - 1 for names in within)
        message = f"{len(known)} tasks in {families} families: samples of one test are not independent of one another"
        note = Finding("AE701", SUITE, message, known[within[0][0]].file, severity=Severity.NOTE, subject="families")
        verdicts.findings.append(note)
    neighbours, status = judge_neighbours(known.values())
    verdicts.findings += neighbours
    if status is Status.UNDECIDED:
        verdicts.assessed["AE701"] = status


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


def stored_history(place: str, tasks: Sequence[Task]) -> Store:
    """What logs hold of real agents.

    Of the history, runs that stopped early are left out, and attempts at a task whose test had another source then.

    Args:
        place: a `.eval` log, or a directory of them.
        tasks: as they are now.

    Raises:
        NotReady: the place cannot be read.
    """
    from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers
    from pytest_agenteval.record.stored import runs_with

    sources = {task.name: task.source for task in tasks}
    held = {task.name for task in tasks if task.holdout}

    def is_ours(name: str, source: str | None) -> bool:
        return name in sources and (None in (source, sources[name]) or source == sources[name])

    headers = list(read_headers(log_files(place)))
    return Store(
        counted(read_all(headers), is_ours), runs_with(headers, held), runs_with(headers, held, held_out=False)
    )


def counted(
    logs: Iterable[StoredLog], wanted: Callable[[str, str | None], bool] = lambda name, source: True
) -> History:
    """The attempts of real agents at unperturbed tasks that count, and those that passed, by task and cell.

    Runs that stopped early are left out: their attempts are no sample.

    Args:
        logs: with their attempts.
        wanted: whether a task is, by its name and the digest of its source.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for log in logs:
        if log.early_stop is not None:
            continue
        then = {task.task: task for task in log.tasks}
        for nodeid, record in log.attempts:
            task = then.get(nodeid)
            if task is None or not record.outcome.counts or task.cell.rehearsed or task.perturbed is not None:
                continue
            name, cell = task.key
            if wanted(name, task.source):
                n, c = found.setdefault(name, {}).get(str(cell), (0, 0))
                found[name][str(cell)] = n + 1, c + (record.outcome is Outcome.PASSED)
    return found
