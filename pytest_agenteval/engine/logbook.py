"""Earlier runs, read from Inspect's logs: the attempts that count, with what their scores' metadata says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from inspect_ai.log import EvalLog, EvalSampleSummary, read_eval_log, read_eval_log_sample_summaries

from pytest_agenteval.earlier import EarlierAttempt, EarlierRun, EarlierTask, by_task
from pytest_agenteval.outcomes import Outcome
from pytest_agenteval.readiness import NotReady

__all__ = ["history", "read_baseline"]

_NEWEST = 200
"""So many logs, the newest, are read for the history."""


def read_baseline(place: Path) -> EarlierRun:
    """The run that a log belongs to, or the newest run of a directory.

    Raises:
        NotReady: there is no log, one cannot be read, or the run stopped early.
    """
    files = [place] if place.is_file() else sorted(place.rglob("*.eval"))
    logs = [(file, _header(file)) for file in files]
    ours = [(file, log) for file, log in logs if "pytest_agenteval" in _metadata(log)]
    if not ours:
        raise NotReady(f"--agent-baseline={place} holds no .eval log of pytest-agenteval: give an earlier run's logs")
    newest = max((log for _, log in ours), key=lambda log: log.eval.created)
    run = [(file, log) for file, log in ours if _session(log) == _session(newest)]
    if any(_metadata(log).get("early_stop") for _, log in run):
        raise NotReady(
            f"--agent-baseline={place} is a run with --agent-early-stop, whose pass rates are biased: "
            "give a run of the whole grid"
        )
    attempts = [attempt for file, log in run for attempt in _attempts(log, _read(file))]
    when = newest.eval.created.replace("T", " ")[:16]
    name = f"the run of {when} ({len(run)} {'log' if len(run) == 1 else 'logs'})"
    return EarlierRun(name, tuple(attempts))


def history(log_dir: str) -> dict[tuple[str, str], EarlierTask]:
    """What the newest logs of a directory say of each task, by model and task; logs that cannot be read are left out.

    Attempts of runs that stopped early are in it: it serves to order attempts and to guess costs, not to estimate.
    """
    if "://" in log_dir or not Path(log_dir).is_dir():
        return {}
    files = sorted(Path(log_dir).rglob("*.eval"), key=lambda file: file.name, reverse=True)[:_NEWEST]
    return by_task(_readable(files))


def _readable(files: Iterable[Path]) -> Iterator[EarlierAttempt]:
    for file in files:
        try:
            log, samples = _header(file), _read(file)
        except NotReady:
            continue
        if "pytest_agenteval" in _metadata(log):
            yield from _attempts(log, samples)


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
