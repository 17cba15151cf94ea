"""`pytest-agenteval new-suite`: from a sentence to a suite."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agenteval.cli.check import mutants
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.cli_values import checked
from pytest_agenteval.options.values import rate

if TYPE_CHECKING:
    from pytest_agenteval.builder.calls import Calls
    from pytest_agenteval.builder.evolve import Old
    from pytest_agenteval.builder.gate import Gate
    from pytest_agenteval.builder.intent import Intent
    from pytest_agenteval.builder.place import Place
    from pytest_agenteval.options.settings import Settings

__all__ = ["add_new_suite"]

USAGE, INTERRUPTED = 4, 2
_GO_ON = "interrupted: the same command goes on from here"
TEMPLATE = "template"
_MODEL_OPTIONS = ("max_cost", "prices", "generate", "model_args", "model_base_url")
_STAGES = ("intent", "subtasks", "ground", "quota", "draft", "gate", "solve", "render")


def add_new_suite(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `new-suite`."""
    from pytest_agenteval.options.table import OPTIONS

    parser = commands.add_parser(
        "new-suite",
        allow_abbrev=False,
        help="build a suite of agent tasks from a sentence, each accepted by running it",
        description=(
            "Turn a query into a suite of agent tasks with files, checks, solutions and wrong variants. "
            "A task is accepted when its plays hold, never because a model says so. The same command resumes."
        ),
        epilog=(
            "Exit status: 0 when the suite is complete; 10 when tasks are missing, the budget is spent or something "
            "failed (accepted tasks are written); 1 when the finished suite fails its check; 4 for a usage error."
        ),
    )
    parser.add_argument("query", nargs="?", metavar="QUERY", help="what the suite shall test, in a sentence")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the suite")
    parser.add_argument("--size", type=checked(_count), metavar="N", help="how many tasks (default: 12)")
    parser.add_argument("--seed", type=int, metavar="N", help="another seed makes other tasks (default: 1)")
    parser.add_argument(
        "--proposer", default=TEMPLATE, metavar="template|MODEL", help="who proposes (default: template)"
    )
    parser.add_argument("--family", action="append", default=[], type=checked(_family), metavar="NAME=N",
                        help="so many tasks of this family; repeatable")  # fmt: skip
    parser.add_argument("--holdout", type=checked(rate), metavar="RATE", help="the share held out (default: 0.25)")
    parser.add_argument("--min-mutation-score", type=checked(rate), metavar="RATE",
                        help="the share of a task's wrong variants that must fail (default: 0.8)")  # fmt: skip
    parser.add_argument(
        "--solver-model", metavar="MODEL", help="attempts each task blindly, with prompt and files only"
    )
    parser.add_argument("--solves", type=checked(_count), default=3, metavar="N", help="blind attempts (default: 3)")
    parser.add_argument("--target-pass-rate", type=checked(_band), metavar="LOW..HIGH",
                        help="replace tasks that the solver passes more or less often")  # fmt: skip
    parser.add_argument("--judge-model", metavar="MODEL", help="judges what running cannot show; it can only reject")
    parser.add_argument("--refresh", type=Path, metavar="DIR", help="make new instances of an earlier suite's tasks")
    parser.add_argument("--from-logs", metavar="LOGS", help="prefer kinds like the tasks that told agents apart best")
    parser.add_argument(
        "--level", choices=("quick", "standard", "deep"), default="deep", help="of the gate (default: deep)"
    )
    parser.add_argument(
        "--mutants",
        type=checked(mutants),
        default=24,
        metavar="N|all",
        help="derived wrong variants of each solution to play (default: 24)",
    )
    parser.add_argument(
        "--agent-sandbox", choices=("docker", "local"), help="where drafts are played (default: docker)"
    )
    parser.add_argument("--stop-after", choices=_STAGES, help="stop after this stage, to edit its file")
    parser.add_argument("--accept-as-is", action="append", default=[], metavar="ID",
                        help="accept this draft's newest version whatever the gate says; repeatable")  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="say what it may cost, and do nothing")
    for option in OPTIONS:
        if option.key in _MODEL_OPTIONS:
            many: dict[str, Any] = {"action": "append"} if option.repeat else {}
            parser.add_argument(*option.flags, dest=option.key, type=checked(option.parse), metavar=option.metavar,
                                help=option.help.replace("%", "%%"), **many)  # fmt: skip
    parser.set_defaults(run=_new_suite)


def _count(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not int(raw):
        raise ValueError("is not a whole number above 0")
    return int(raw)


def _family(raw: str) -> tuple[str, int]:
    name, _, count = raw.partition("=")
    if not name or not count:
        raise ValueError("is not NAME=N")
    return name, _count(count)


def _band(raw: str) -> tuple[float, float]:
    low, dots, high = raw.partition("..")
    if not dots or rate(low) > rate(high):
        raise ValueError("is not LOW..HIGH, such as 0.3..0.7")
    return rate(low), rate(high)


def _new_suite(asked: argparse.Namespace) -> int:
    try:
        return _build(asked)
    except NotReady as error:
        from pytest_agenteval.texts import inert

        print(inert(f"pytest-agenteval new-suite: {error}"), file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(_GO_ON, file=sys.stderr)
        return INTERRUPTED


def _build(asked: argparse.Namespace) -> int:
    import asyncio

    from pytest_agenteval.builder.calls import Calls
    from pytest_agenteval.builder.evolve import old_suite
    from pytest_agenteval.builder.gate import DeepGate
    from pytest_agenteval.builder.place import Place
    from pytest_agenteval.check.plays import Level
    from pytest_agenteval.check.rounds import Stopped

    by_model = asked.proposer != TEMPLATE
    if by_model and asked.agent_sandbox == "local":
        raise NotReady("what a model proposes runs in containers only: leave out --agent-sandbox=local")
    if asked.target_pass_rate and not asked.solver_model:
        raise NotReady("--target-pass-rate needs a --solver-model")
    old = None if asked.refresh is None else old_suite(asked.refresh)
    if old is not None and asked.refresh.resolve() == asked.out.resolve():
        raise NotReady("--refresh and --out are the same folder: name a new one")
    place = Place(asked.out)
    intent = _intent(asked, place, old)
    settings = _settings(asked)
    if asked.plan:
        return _plan(asked, intent, settings)
    calls = Calls(place, asked.max_cost)
    gate = DeepGate(
        work=(place.home / "gate").absolute(),
        level=Level(asked.level),
        sandbox=asked.agent_sandbox,
        min_score=intent.min_mutation_score,
        mutants=asked.mutants,
    )
    try:
        return asyncio.run(_run(asked, intent, place, calls, gate, settings, old))
    except Stopped as stopped:  # while it played
        print(_GO_ON, file=sys.stderr)
        return stopped.status


def _intent(asked: argparse.Namespace, place: Place, old: Old | None) -> Intent:
    """From `intent.toml`, as long as the command line is the one that it was made from; else from the command line."""
    from pytest_agenteval.builder.evolve import discriminating
    from pytest_agenteval.builder.intent import Intent

    given: dict[str, Any] = {"query": asked.query, "size": asked.size, "seed": asked.seed, "holdout": asked.holdout}
    given |= {"min_mutation_score": asked.min_mutation_score, "target_pass_rate": asked.target_pass_rate}
    given["families"] = dict(asked.family) or None
    given = {key: value for key, value in given.items() if value is not None}
    made_from = [{key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}]
    made_from.append({"refresh": None if old is None else old.intent.avoid, "from_logs": asked.from_logs})
    where = str(place.home / "intent.toml")
    if (text := place.stage("intent.toml", made_from)) is not None:
        return Intent.from_toml(text, where)
    if old is not None:
        intent = replace(old.intent, **given)
    elif asked.query is None:
        raise NotReady("say what the suite shall test: pytest-agenteval new-suite QUERY --out DIR")
    else:
        intent = Intent(**given)
        if intent.families:
            intent = replace(intent, size=sum(intent.families.values()))
    if asked.from_logs is not None:
        from pytest_agenteval.check.suite import counted
        from pytest_agenteval.engine.logs.files import log_files, read_all, read_headers

        like = discriminating(counted(read_all(read_headers(log_files(asked.from_logs)))))
        if not like:
            raise NotReady(
                f"no task in {asked.from_logs} tells agents apart: each was passed always, never, or too seldom run"
            )
        intent = replace(intent, like=like)
    if not asked.plan:
        place.keep_stage("intent.toml", made_from, intent.to_toml())
    return intent


def _settings(asked: argparse.Namespace) -> Settings:
    from pytest_agenteval.options.reading import defaults
    from pytest_agenteval.options.settings import settings_of

    given = {key: getattr(asked, key) for key in _MODEL_OPTIONS if getattr(asked, key) is not None}
    return settings_of(defaults() | given, active=True)


async def _run(
    asked: argparse.Namespace,
    intent: Intent,
    place: Place,
    calls: Calls,
    gate: Gate,
    settings: Settings,
    old: Old | None,
) -> int:
    from pytest_agenteval.builder.building import Builder
    from pytest_agenteval.builder.calls import refuse_unpriced
    from pytest_agenteval.builder.evolve import RefreshProposer
    from pytest_agenteval.builder.families.known import known_families
    from pytest_agenteval.builder.judge import ModelJudge
    from pytest_agenteval.builder.proposers import ModelProposer, Proposer, TemplateProposer
    from pytest_agenteval.builder.solving import PytestSolver

    proposer: Proposer = TemplateProposer(known_families())
    judge = None
    wanted = [name for name in (asked.proposer, asked.judge_model) if name not in (None, TEMPLATE)]
    if wanted:
        from pytest_agenteval.engine.models.asking import open_respondents
        from pytest_agenteval.money.prices import open_prices

        models = open_respondents(wanted, settings, open_prices(settings.money.prices))
        for name, model in models.items():
            refuse_unpriced(asked.max_cost, name, priced=model.priced)
        if asked.proposer != TEMPLATE:
            proposer = ModelProposer(models[asked.proposer], calls)
        judge = ModelJudge(models[asked.judge_model], calls) if asked.judge_model else None
    solver = None
    if asked.solver_model:
        solver = PytestSolver((place.home / "solver").absolute(), asked.solver_model, asked.solves, asked.agent_sandbox,
                              _for_pytest(asked))  # fmt: skip
    builder = Builder(
        place, RefreshProposer(proposer, old.subtasks) if old is not None else proposer, gate, calls, solver=solver,
        judge=judge, stop_after=asked.stop_after, as_is=asked.accept_as_is, say=_say,
        known_prompts=() if old is None else old.prompts,
    )  # fmt: skip
    return finish(await builder.build(intent), place, calls, gate)


def _for_pytest(asked: argparse.Namespace) -> list[str]:
    """The options of models as pytest takes them."""
    words = [f"--agent-prices={Path(asked.prices).absolute()}"] if asked.prices is not None else []
    words += [f"--agent-model-base-url={asked.model_base_url}"] if asked.model_base_url is not None else []
    for flag, pairs in (("--agent-generate", asked.generate), ("--agent-model-arg", asked.model_args)):
        words += [f"{flag}={name}={json.dumps(value)}" for name, value in pairs or ()]
    return words


def finish(build: Any, place: Place, calls: Calls, gate: Gate) -> int:
    """Write the suite, check it as a whole, report, and return the exit status."""
    from pytest_agenteval.builder.report import build_json, build_lines, exit_status, review_files, suite_files
    from pytest_agenteval.texts import inert

    texts = {}
    for each in build.rejected:
        file = place.draft(each.draft, each.versions)
        texts[each.draft] = file.read_text("utf-8", "replace") if file.is_file() else ""
    edited = place.put({**suite_files(build), **review_files(build.rejected, texts)})
    faults: Sequence[str] | None = []
    if build.accepted:
        faults = gate.check(place.suite)
    ledger = calls.ledger
    report = build_json(build, ledger, cached=calls.cached, faults=faults or [])
    from pytest_agenteval.builder.place import write_whole

    write_whole(place.suite / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    lines = [f"{path} has been edited and stays as it is" for path in edited]
    for line in [*lines, *build_lines(build, ledger, faults or [])]:
        print(inert(line))
    return exit_status(build, faults)


def _plan(asked: argparse.Namespace, intent: Intent, settings: Settings) -> int:
    from pytest_agenteval.builder.planning import outlook
    from pytest_agenteval.builder.proposers import prompt_text

    worst: dict[str, float | None] = {}
    names = [name for name in (asked.proposer, asked.judge_model) if name not in (None, TEMPLATE)]
    if names:
        from pytest_agenteval.engine.models.asking import open_respondents
        from pytest_agenteval.money.prices import open_prices

        models = open_respondents(names, settings, open_prices(settings.money.prices))
        question = "x" * 12_000  # the checks, two examples and the evidence of a repair
        worst = {
            name: model.at_most(prompt_text("role") + prompt_text("draft"), question) for name, model in models.items()
        }
    plan = outlook(
        intent.size, free=asked.proposer == TEMPLATE, call_at_most=worst.get(asked.proposer),
        judge_at_most=worst.get(asked.judge_model), judged=asked.judge_model is not None,
        solves=asked.solves if asked.solver_model else 0,
    )  # fmt: skip
    cost = "unknown: a price is missing" if plan.at_most is None else f"at most ${plan.at_most:.2f}"
    print(f"{intent.size} tasks by {asked.proposer}: about {plan.calls} calls, {cost}")
    print(f"about {plan.plays} plays in the gate, {plan.minutes:.0f} minutes with two processors, $0")
    if plan.solves:
        print(f"{plan.solves} blind attempts by {asked.solver_model}, within --max-cost")
    return 0


def _say(line: str) -> None:
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{line:<100}", end=end, file=sys.stderr, flush=True)
