"""Earlier runs, read from Inspect's logs: the attempts that count, with what their scores' metadata says of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalSampleSummary, read_eval_log, read_eval_log_sample_summaries

from pytest_agenteval.earlier import EarlierAttempt, EarlierRun, EarlierTask, by_task
from pytest_agenteval.outcomes import Outcome
from pytest_agenteval.readiness import NotReady

__all__ = ["history", "read_baseline", "whole_grid_history"]

_NEWEST = 200
"""So many logs, the newest, are read for the history."""
_RUNS = 50
"""So many runs, the newest, are looked through for a baseline."""


def read_baseline(place: Path, wanted: Collection[str] = (), setup: str = "") -> EarlierRun:
    """The run that a log belongs to, or of a directory the newest run of the whole grid that has the wanted tasks.

    Where no run has them all, it is the one that has most of them, the newest of several.

    Args:
        place: a log, with the others of its run beside it, or a directory.
        wanted: the tasks to compare with.
        setup: of this run's models; the name of a run with another one says so.

    Raises:
        NotReady: there is no log, one cannot be read, or every run stopped early.
    """
    files = sorted(place.parent.glob("*.eval") if place.is_file() else place.rglob("*.eval"))
    if place.is_file() and place not in files:
        files.append(place)
    logs = [(file, _header(file)) for file in files]
    runs: dict[str, list[tuple[Path, EvalLog]]] = {}
    for file, log in logs:
        if "pytest_agenteval" in _metadata(log):
            runs.setdefault(_session(log), []).append((file, log))
    if place.is_file():
        runs = {session: run for session, run in runs.items() if any(file == place for file, _ in run)}
    if not runs:
        raise NotReady(f"--agent-baseline={place} holds no .eval log of pytest-agenteval: give an earlier run's logs")
    whole = [run for run in runs.values() if not any(_metadata(log).get("early_stop") for _, log in run)]
    if not whole:
        raise NotReady(
            f"--agent-baseline={place} is a run with --agent-early-stop, whose pass rates are biased: "
            "give a run of the whole grid"
        )
    newest_first = sorted(whole, key=lambda run: max(log.eval.created for _, log in run), reverse=True)
    found: list[tuple[int, EarlierRun]] = []
    for run in newest_first[:_RUNS]:
        earlier = _run(run, setup)
        had = len({attempt.task for attempt in earlier.attempts} & set(wanted))
        found.append((had, earlier))
        if had == len(set(wanted)):
            break
    return max(found, key=lambda each: each[0])[1]


def _run(logs: list[tuple[Path, EvalLog]], setup: str) -> EarlierRun:
    attempts = [attempt for file, log in logs for attempt in _attempts(log, _read(file))]
    newest = max((log for _, log in logs), key=lambda log: log.eval.created)
    when = newest.eval.created.replace("T", " ")[:16]
    said = f"{len(logs)} {'log' if len(logs) == 1 else 'logs'}"
    theirs = str(_metadata(newest).get("setup", setup))
    if theirs != setup:
        said += f"; its models ran with {theirs or 'default settings'}, these with {setup or 'default settings'}"
    return EarlierRun(f"the run of {when} ({said})", tuple(attempts))


def history(log_dir: str, setup: str) -> dict[tuple[str, str], EarlierTask]:
    """What the newest logs of a directory say of each task, by model and task, where models were set up alike.

    Attempts of runs that stopped early are in it: it serves to order attempts and to guess costs, not to estimate. Logs
    that cannot be read are left out.
    """
    return by_task(attempt for _, attempts in _readable(log_dir, setup) for attempt in attempts)


def whole_grid_history(log_dir: str, setup: str) -> dict[tuple[str, str], EarlierTask]:
    """The same without runs that stopped early, whose pass rates are biased: what a plan expects comes from it."""
    read = _readable(log_dir, setup)
    return by_task(attempt for log, attempts in read if not _metadata(log).get("early_stop") for attempt in attempts)


def _readable(log_dir: str, setup: str) -> Iterator[tuple[EvalLog, list[EarlierAttempt]]]:
    if "://" in log_dir or not Path(log_dir).is_dir():
        return
    for file in sorted(Path(log_dir).rglob("*.eval"), key=lambda file: file.name, reverse=True)[:_NEWEST]:
        try:
            log, samples = _header(file), _read(file)
        except NotReady:
            continue
        if "pytest_agenteval" in _metadata(log) and _metadata(log).get("setup", setup) == setup:
            yield log, list(_attempts(log, samples))


def _header(file: Path) -> EvalLog:
    try:
        return read_eval_log(str(file), header_only=True)
    except Exception as error:  # whatever a damaged file makes Inspect, zipfile or pydantic raise
        raise NotReady(f"{file} cannot be read as an Inspect log: {error}") from None


def _read(file: Path) -> list[EvalSampleSummary]:
    try:
        return read_eval_log_sample_summaries(str(file))
    except Exception as error:
        raise NotReady(f"{file} cannot be read as an Inspect log: {error}") from None


def _metadata(log: EvalLog) -> dict[str, Any]:
    return log.eval.metadata or {}


def _session(log: EvalLog) -> str:
    return str(_metadata(log).get("session", log.eval.run_id))


def _attempts(log: EvalLog, samples: Iterable[EvalSampleSummary]) -> Iterator[EarlierAttempt]:
    for sample in samples:
        score = (sample.scores or {}).get("passed")
        said: dict[str, Any] = (score.metadata or {}) if score is not None else {}
        outcome = said.get("outcome")
        if outcome not in [each.value for each in Outcome if each.counts]:
            continue
        yield EarlierAttempt(
            model=str(_metadata(log).get("model", log.eval.model)),
            task=str(sample.id),
            passed=outcome == Outcome.PASSED.value,
            cost=said.get("own_cost", said.get("cost")),
            tool_calls=said.get("tool_calls"),
            tool_failures=said.get("tool_failures"),
            source=said.get("source"),
        )
