"""`pytest-agenteval check`: is a suite worth its money?"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.cli_values import checked
from pytest_agenteval.options.values import amount, duration, rate

__all__ = ["add_check", "mutants"]

UNDECIDED = 10
_LEVELS = ("quick", "standard", "deep")


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `check`."""
    parser = commands.add_parser(
        "check",
        allow_abbrev=False,
        help="find tasks whose verdicts mean nothing: no solution, empty checks, flaky, leaking",
        description=(
            "Play every agent task with scripted attempts, which cost nothing, through its real fixtures, sandbox and "
            "checks: the declared solution must pass, doing nothing must fail. Deeper levels play more."
        ),
        epilog=(
            "Exit status: 0 without an error; 1 with one; 2, 3 and 4 as pytest's, when the suite cannot be run; "
            "5 when there is no agent task; 10 when the environment kept it from deciding, or a gate is BLIND. "
            "What follows -- goes to pytest."
        ),
    )
    parser.add_argument(
        "paths", nargs="*", default=["."], metavar="PATH", help="a test file, a folder or a node id (default: .)"
    )
    parser.add_argument(
        "--agent-sandbox", choices=("docker", "local"), help="where attempts run (default: as pytest's option)"
    )
    parser.add_argument(
        "--level",
        choices=_LEVELS,
        default="quick",
        help="quick: the solution and doing nothing; standard: about 25 plays a task; deep: about 60 (default: quick)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="RULE",
        help="this rule only, at the level that it needs; repeatable",
    )
    parser.add_argument("--skip", action="append", default=[], metavar="RULE", help="not this rule; repeatable")
    parser.add_argument(
        "--mutants",
        type=checked(mutants),
        metavar="N",
        help="wrong variants of each solution to play, or `all` (default: 12; deep: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="for the choice of wrong variants (default: 0)")
    parser.add_argument(
        "--min-mutation-score",
        type=checked(rate),
        default=0.8,
        metavar="RATE",
        help="the share of a task's wrong variants that must fail (default: 0.8)",
    )
    parser.add_argument(
        "--max-time",
        type=checked(duration),
        metavar="TIME",
        help="play no longer than this, for example 10m: rules that need more are not assessed, and the status is 10",
    )
    parser.add_argument(
        "--history", metavar="LOGS", help="also look at stored attempts of real agents: a .eval log or a directory"
    )
    parser.add_argument(
        "--must-see",
        type=checked(rate),
        default=0.1,
        metavar="DROP",
        help="the drop of pass@1 that the gates of the ini file must find, or they are BLIND (default: 0.1)",
    )
    parser.add_argument(
        "--judge-model",
        metavar="MODEL",
        help="also see whether this model judges steadily, in the roles judge and grader; it costs money",
    )
    parser.add_argument(
        "--max-cost", type=checked(amount), metavar="USD", help="what --judge-model may cost; needed with it"
    )
    parser.add_argument("--strict", action="store_true", help="warnings count as errors")
    parser.add_argument("--json", metavar="FILE", help="also write the findings to a JSON file")
    parser.add_argument("--fresh", action="store_true", help="play everything again, also what is stored")
    parser.add_argument(
        "--replay", metavar="ID", help="show what was said and done in the play that a finding names, after the check"
    )
    parser.add_argument("--sarif", metavar="FILE", help="also write them as SARIF 2.1.0, for code scanning")
    parser.add_argument("--explain", metavar="RULE", help="say what a rule is about, and run nothing")
    parser.set_defaults(run=_check)


def _check(asked: argparse.Namespace) -> int:
    from pytest_agenteval.check.checking import Wish, check_suite
    from pytest_agenteval.check.plays import Level
    from pytest_agenteval.check.progress import Progress
    from pytest_agenteval.check.rounds import CannotRun, Stopped, Suite
    from pytest_agenteval.check.rules import chosen_rules, explain
    from pytest_agenteval.check.table import check_lines
    from pytest_agenteval.texts import inert

    if (asked.judge_model is None) != (asked.max_cost is None):
        raise NotReady("--judge-model and --max-cost belong together: a judge costs money, and nothing else here does")
    if asked.explain is not None:
        print(explain(asked.explain))
        return 0
    rules = chosen_rules(Level(asked.level), asked.only, asked.skip)
    needed = [rule.level for rule in rules] if asked.only else []  # a rule that is named is played for
    level = max([Level(asked.level), *needed], key=list(Level).index)
    wish = Wish(
        suite=Suite(
            asked.paths,
            asked.agent_sandbox,
            asked.extra,
            asked.fresh,
            progress=Progress(sys.stderr),
            until=None if asked.max_time is None else time.monotonic() + asked.max_time,
        ),
        level=level,
        rules=rules,
        history=asked.history,
        must_see=asked.must_see,
        mutants=asked.mutants,
        seed=asked.seed,
        min_score=asked.min_mutation_score,
        judge=asked.judge_model,
        max_cost=asked.max_cost,
    )
    try:
        result = check_suite(wish)
    except CannotRun as error:
        sys.stderr.write(str(error))
        print(f"the suite could not be run: pytest ended with {error.status}", file=sys.stderr)
        return error.status if error.status > 1 else UNDECIDED  # below 0 if a signal ended it
    except Stopped as stopped:
        print(f"ended by {stopped}: nothing is judged; what has been played is stored", file=sys.stderr)
        return stopped.status
    status = result.exit_status(strict=asked.strict)
    lines = check_lines(result)
    if asked.replay is not None:
        from pytest_agenteval.check.replay import replay_lines

        lines = replay_lines(result, asked.replay)
    for text in lines:
        print(inert(text))
    if asked.sarif is not None:
        from pytest_agenteval.check.sarif import check_sarif

        _write(asked.sarif, check_sarif(result))
    if asked.json is not None:
        from pytest_agenteval.cli.check_json import check_json

        _write(asked.json, check_json(result, status))
    return status


def mutants(raw: str) -> int:
    """A number of mutants; `all` is 0."""
    if raw == "all":
        return 0
    if not raw.isascii() or not raw.isdigit() or not int(raw):
        raise ValueError("is not a whole number above 0, or all")
    return int(raw)


def _write(path: str, content: object) -> None:
    try:
        Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise NotReady(f"{path} cannot be written: {error.strerror or error}; name another file") from None
