"""`pytest-agenteval report` and `pytest-agenteval compare`: judge stored attempts again, without a model call."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agenteval.options.cli_values import checked

if TYPE_CHECKING:
    from pytest_agenteval.options.settings import Settings
    from pytest_agenteval.report.line import Line

__all__ = ["add_compare", "add_report"]

_JUDGING = (
    "min_pass_at_1", "min_pass_k", "min_consistency", "max_overconfidence", "min_safety", "max_cost",
    "max_cost_per_attempt", "max_env_error_rate", "max_tool_failure_rate", "max_violations", "min_robustness",
    "gate_mode", "confidence", "undecided",
)  # fmt: skip
_WRITING = ("profile", "json", "comment", "html", "metrics")
_HELP = {
    "k": "attempts to judge each task by, the k of pass^k (default: as many as its runs asked for)",
    "max_cost": "gate: what the attempts cost in all, all roles and retries included; UNDECIDED above it",
    "max_env_error_rate": "above this share of environment errors no cell passes (default 0.05)",
    "baseline": "gate: compare with an earlier run, its .eval logs or a directory of them; a regression is a FAIL",
}
"""Help for options that mean something else when nothing runs, by key; the others mean the same as in pytest."""


def add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `report`."""
    parser = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="judge stored attempts again, under other thresholds or k, and merge the shards of a run",
        description=(
            "Compute every estimate and verdict anew from the attempts in .eval logs. No model is called and nothing "
            "is paid. Of a directory the newest run is taken, with its shards; of log files all."
        ),
        epilog=(
            "Exit status: 0, 1 and 10 as pytest's with these gates; "
            "2 when the logs cannot be read or the command line cannot."
        ),
    )
    _add_logs(parser)
    _add_options(parser, ("k", *_JUDGING, "baseline", "baseline_cell", *_WRITING))
    parser.add_argument("--junitxml", type=Path, metavar="FILE", help="write the verdicts as JUnit XML")
    parser.set_defaults(run=_report)


def add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `compare`."""
    parser = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="compare two runs: which tasks regressed, with the change of cost and tool-call failures",
        description="Hold the run B against the run A as its baseline, as --agent-baseline does, from their logs.",
        epilog=(
            "Exit status: 0 without a regression, 1 with one, 10 where the attempts settle it neither way; "
            "2 when the logs cannot be read."
        ),
    )
    parser.add_argument("a", metavar="A", help="the earlier run: a .eval log or a directory of them")
    parser.add_argument("b", metavar="B", help="the later run: a .eval log or a directory of them")
    _add_options(parser, ("profile",))
    parser.set_defaults(run=_compare, runs=None)


def _add_logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("logs", nargs="+", metavar="LOGS", help="a .eval log, or a directory with all below it")
    parser.add_argument(
        "--run",
        dest="runs",
        metavar="RUN",
        help="`newest`, `all` (together, as one), or the beginning of a run's name; default: as said above",
    )


def _add_options(parser: argparse.ArgumentParser, keys: Sequence[str]) -> None:
    """Options of pytest's command line, with the same checks."""
    from pytest_agenteval.options.table import OPTIONS

    for option in OPTIONS:
        if option.key in keys:
            parser.add_argument(
                *option.flags,
                dest=option.key,
                default=None if option.key == "k" or option.repeat else option.default,
                **{**option.reading, "type": checked(option.parse)},
                help=_HELP.get(option.key, option.help).replace("%", "%%"),
            )


def _settings(asked: argparse.Namespace) -> Settings:
    from pytest_agenteval.options.reading import defaults
    from pytest_agenteval.options.settings import settings_of

    values = defaults()
    given = {key: value for key, value in vars(asked).items() if key in values and value is not None}
    return settings_of(values | given, active=True)


def _report(asked: argparse.Namespace) -> int:
    from pytest_agenteval.engine.logs.baseline import read_baseline
    from pytest_agenteval.engine.logs.runs import choose_runs
    from pytest_agenteval.judge.judgement import PytestSaid, judge_run
    from pytest_agenteval.plan.gates import counterpart, gate_settings
    from pytest_agenteval.plugins import console_plugins
    from pytest_agenteval.record.merge import merge
    from pytest_agenteval.record.records import name_of
    from pytest_agenteval.report.files import report_request, write_reports
    from pytest_agenteval.report.terminal import report_lines

    settings = _settings(asked)
    chosen = choose_runs(asked.logs, asked.runs)
    merged = merge(chosen.logs, asked.k)
    tasks = {name_of(record) for record in merged.records}
    setup = chosen.logs[-1].setup
    place, own = settings.gates.baseline, chosen.names
    baseline = None if place is None else read_baseline(place, tasks, setup, own)
    judgement = judge_run(
        merged.records,
        gate_settings(settings),
        identity=merged.identity,
        baseline=baseline,
        beside=counterpart(settings),
        every_first=merged.every_first,
        incomplete=merged.incomplete,
        said=PytestSaid(ordinary_failures=len(merged.errors)),
        profile=settings.reports.profile,
    )
    plugins = console_plugins()
    destinations = {**settings.reports.by_option, "junitxml": asked.junitxml}
    request = report_request(plugins, judgement, [*chosen.notes, *merged.notes, *merged.errors], destinations)
    _print(report_lines(request.judgement, width=_width(), notes=request.notes, sections=request.sections))
    for line in write_reports(plugins, request):
        print(line)
    return judgement.status.code


def _compare(asked: argparse.Namespace) -> int:
    from pytest_agenteval.engine.logs.baseline import read_baseline, run_name
    from pytest_agenteval.engine.logs.runs import choose_runs
    from pytest_agenteval.estimate.profile import profile_of
    from pytest_agenteval.estimate.run import summarize
    from pytest_agenteval.judge.baseline import compare, judge_comparisons, nearest_cell
    from pytest_agenteval.judge.exit_status import exit_status
    from pytest_agenteval.record.merge import merge
    from pytest_agenteval.record.records import name_of
    from pytest_agenteval.redaction import secret_values
    from pytest_agenteval.report.line import Line, plain
    from pytest_agenteval.report.outgoing import without_secrets
    from pytest_agenteval.report.profile import side_by_side_lines
    from pytest_agenteval.report.regression import regression_lines
    from pytest_agenteval.report.terminal import verdict_lines
    from pytest_agenteval.report.text_table import wrap

    chosen = choose_runs([asked.b], asked.runs)
    merged = merge(chosen.logs)
    tasks = {name_of(record) for record in merged.records}
    baseline = read_baseline(asked.a, tasks, chosen.logs[-1].setup)
    width, secrets = _width(), secret_values(os.environ)
    which = f"B ({asked.b}: {run_name(chosen.logs)}) beside A ({asked.a}: {baseline.name})"
    run = summarize(merged.records, every_first=merged.every_first)
    comparisons = without_secrets(compare(run, replace(baseline, name="A"), nearest_cell), secrets)
    results = judge_comparisons(comparisons)
    lines = [*plain(wrap(without_secrets(which, secrets), width, hanging="  ")), Line("")]
    for found in comparisons:
        lines += [*regression_lines(found, width), Line("")]
        if asked.profile is not None and not found.new:
            cells = {"A": (found.other or found.cell, baseline.records), "B": (found.cell, merged.records)}
            profiles = {
                run: profile_of(cell, [record for record in records if name_of(record) not in found.changed])
                for run, (cell, records) in cells.items()
            }
            lines += [*without_secrets(side_by_side_lines(profiles, width), secrets), Line("")]
    names = [f"[{result.cell}]: " if len(results) > 1 else "" for result in results]
    for name, result in zip(names, results, strict=True):
        lines += verdict_lines(result.verdict, f"{name}{result.reason}", width)
    status = exit_status(0, gates=results)
    lines += plain(wrap(f"exit {status.code}: {status.reason}", width, hanging="  "))
    _print(lines)
    return status.code


def _print(lines: Sequence[Line]) -> None:
    for line in lines:
        print(line.text)


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 160)
