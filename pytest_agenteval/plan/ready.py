"""Everything that is checked and prepared before the first attempt: models, prices, sandboxes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from pytest_agenteval.collect.inspect_task import SAMPLE
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.collect.rules import Judged
from pytest_agenteval.collect.rules_file import read_rules
from pytest_agenteval.collect.shards import ALL_TASKS
from pytest_agenteval.engine.agents.agent import REACT, Scaffold
from pytest_agenteval.engine.agents.scaffolds import OwnScaffold, ProgramScaffold, open_scaffolds
from pytest_agenteval.engine.conduct.judge import JUDGE
from pytest_agenteval.engine.eval.evaluation import Evaluation
from pytest_agenteval.engine.eval.tries import Services
from pytest_agenteval.engine.inspect_tasks.attempt import InspectSample
from pytest_agenteval.engine.logs.baseline import history
from pytest_agenteval.engine.logs.files import require_writable
from pytest_agenteval.engine.logs.roll import pack
from pytest_agenteval.engine.models.content_guard import guard_content
from pytest_agenteval.engine.models.gateway import stand_around_models
from pytest_agenteval.engine.models.models import open_model, open_models, open_roles, tell_prices
from pytest_agenteval.engine.sandboxes.places import Sandboxes
from pytest_agenteval.errors import NotReady
from pytest_agenteval.money.budget import RunBudget
from pytest_agenteval.money.prices import PriceBook, open_prices
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.plan.dispatcher import choose_dispatcher, refuse_gates_that_never_pass
from pytest_agenteval.plan.distinct import refuse_alike
from pytest_agenteval.plan.holdout import look_at
from pytest_agenteval.plan.identity import identify
from pytest_agenteval.plan.offered import Offered
from pytest_agenteval.plan.run_identity import run_identity
from pytest_agenteval.plan.sandboxes import check_sandboxes, choose_sandboxes
from pytest_agenteval.plan.takeover import Takeover
from pytest_agenteval.record.holdout import Look
from pytest_agenteval.record.run_identity import RunIdentity
from pytest_agenteval.record.stored import StoredTask

__all__ = ["Checked", "Started", "check", "prepare", "start"]


@dataclass(frozen=True, slots=True)
class Started:
    """A run that is checked and has not begun."""

    evaluation: Evaluation
    items: tuple[AgentItem, ...]
    takeover: Takeover
    identity: RunIdentity
    look: Look | None
    """Which look at held-out tasks it is; None if no real agent meets one."""


def start(
    settings: Settings, items: Sequence[AgentItem], root: Path, say: Callable[[str], None], offered: Offered
) -> Started:
    """Check what the run needs and create its evaluation; nothing is spent yet.

    Args:
        settings: the settings of the run.
        items: the agent tasks that will run.
        root: pytest's root directory.
        say: called with a line for the user about anything that takes a while (building an image).
        offered: what plugins offer.

    Raises:
        NotReady: a model, a price or a sandbox is missing, no log can be written, or a gate could never pass.
    """
    guard_content()
    stand_around_models()
    checked = check(settings, items, offered)
    prices, paid = checked.prices, checked.paid
    tell_prices(paid, prices)
    sandboxes = choose_sandboxes(settings, items, say, offered.sandboxes)
    for item in items:
        spec = sandboxes[item.nodeid]
        item.notes += spec.notes if spec is not None else ()
    budget = RunBudget(settings.money.max_cost)
    invocation = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid4().hex  # xdist's workers share one
    identity = run_identity(settings, root, os.environ, invocation)
    takeover = Takeover.of(settings, items, identity)
    run = takeover.run or invocation
    if not identity.named:
        identity = replace(identity, run=run)
    look = look_at(items, settings.store.log_dir, identity.run)
    services = Services(
        Sandboxes(), budget, prices, settings.attempts.env_retries, run, settings.sandboxes.keep, checked.scaffolds,
        settings.agents.ask_confidence,
    )  # fmt: skip
    metadata = {
        "session": run,
        "identity": asdict(identity),
        "invocation": invocation,
        "began": datetime.now(UTC).isoformat(),
        "pytest_agenteval": version("pytest-agenteval"),
        "k": settings.attempts.k,
        "early_stop": settings.attempts.early_stop,
        "look": None if look is None else asdict(look),
        "shard": settings.attempts.shard,
        "roll": pack(_selected(items)),
        "took": takeover.other_runs,
        "suites": Counter(item.nodeid.split("::")[0] for item in items if not item.skips),
        "setup": settings.agents.setup,
        "roles": dict(settings.agents.roles),
        "prices": {name: prices.source(name) for name in paid},
    }
    known = history(settings.store.log_dir, settings.agents.setup) if settings.attempts.early_stop is not None else {}
    dispatcher = choose_dispatcher(settings, items, known)
    evaluation = Evaluation(settings, checked.models, checked.roles, sandboxes, services, metadata, dispatcher)
    return Started(evaluation, tuple(items), takeover, identity, look)


@dataclass(frozen=True, slots=True)
class Checked:
    """What was opened by the checks of a run."""

    models: Mapping[str, Any]
    """Inspect's, by name."""
    roles: Mapping[str, Any]
    scaffolds: Mapping[str, Scaffold]
    prices: PriceBook
    paid: Sequence[str]
    """The models that cost money."""


def check(settings: Settings, items: Sequence[AgentItem], offered: Offered) -> Checked:
    """Refuse what can be refused without asking Docker: all that `--agent-plan` can know of a run.

    Raises:
        NotReady: a model, a package, a key, a price or a sandbox is missing, no log can be written, or a gate could
            never pass.
    """
    _refuse_without_variants(settings, items)
    refuse_alike(items)
    refuse_gates_that_never_pass(settings, items)
    names = list(dict.fromkeys([*settings.agents.models, *(item.model for item in items if item.model is not None)]))
    prices = open_prices(settings.money.prices, offered.prices)
    models, roles = open_models(names, settings), open_roles(settings)
    wanted = [*(settings.agents.scaffolds or [REACT]), *(item.scaffold for item in items if item.scaffold is not None)]
    scaffolds = open_scaffolds(wanted, settings.agents.scaffold_args, offered.scaffolds)
    _refuse_without_grader(items)
    _add_rules(settings, items)
    _refuse_without_judge(settings, items)
    paid = list(dict.fromkeys([*names, *(model for _, model in settings.agents.roles)]))
    _refuse_unpriced(settings, items, paid, prices)
    _refuse_without_container(settings, items, scaffolds)
    _refuse_unreachable(items, scaffolds)
    require_writable(settings.store.log_dir)
    check_sandboxes(settings, items, offered.sandboxes)
    return Checked(models, roles, scaffolds, prices, paid)


async def prepare(started: Started) -> tuple[str, ...]:
    """Let the sandbox providers check, build and pull, on the loop that will use them, and take over stored attempts.

    Returns what the user should know about that, one sentence each.

    Raises:
        NotAvailable: a sandbox is not available.
    """
    evaluation, settings = started.evaluation, started.evaluation.settings
    await evaluation.services.sandboxes.prepare(evaluation.sandboxes.values())
    wanted = [item for item in started.items if not item.skips]  # of the others nobody will miss an attempt
    tasks = await identify(settings, wanted, evaluation.sandboxes)
    reuse = started.takeover.take(settings, tasks)
    evaluation.take_over(tasks, reuse)
    return started.takeover.account(reuse, sum(item.k for item in wanted))


def _selected(items: Sequence[AgentItem]) -> Iterator[StoredTask]:
    """All tasks that were selected, of whatever shard."""
    for item in items[0].config.stash.get(ALL_TASKS, tuple(items)) if items else ():
        if not item.skips:
            yield StoredTask(
                task=item.nodeid,
                cell=item.cell,
                min_pass_rate=item.options.min_pass_rate,
                source=item.source,
                expected_failure=item.expects_failure,
                strict=item.strict,
                name=item.task_name,
                perturbed=item.perturbed,
            )


def _refuse_without_grader(items: Sequence[AgentItem]) -> None:
    """Refuse Inspect tasks whose scorers name an unusable model: every attempt would be paid for nothing."""
    asked: dict[str, str] = {}
    for item in items:
        given = item.plan.params.get(SAMPLE)
        for grader in given.graders if isinstance(given, InspectSample) and not item.skips else ():
            asked.setdefault(grader, item.nodeid)
    for grader, task in asked.items():
        try:
            open_model(grader)
        except NotReady as error:
            raise NotReady(f"a scorer of {task} cannot judge: {error}") from None


def _add_rules(settings: Settings, items: Sequence[AgentItem]) -> None:
    """Give every task the run's own rules."""
    if settings.agents.rules is None:
        return
    of_run = read_rules(settings.agents.rules)
    for item in items:
        item.rules = tuple(dict.fromkeys((*item.options.rules, *of_run)))


def _refuse_without_judge(settings: Settings, items: Sequence[AgentItem]) -> None:
    """Refuse rules that nobody could judge. The built-in models cost nothing, and neither do their attempts' rules."""
    if JUDGE in dict(settings.agents.roles):
        return
    for item in items:
        if item.cell.rehearsed or item.skips:
            continue
        for rule in item.rules:
            if isinstance(rule.condition, Judged):
                raise NotReady(
                    f"{item.nodeid} has a rule for a judge, {rule.condition.question!r}, and there is none: "
                    "add --agent-role=judge=PROVIDER/MODEL"
                )


def _refuse_without_container(
    settings: Settings, items: Sequence[AgentItem], scaffolds: Mapping[str, Scaffold]
) -> None:
    if settings.sandboxes.kind != "local":
        return
    for item in items:
        name = item.scaffold or REACT
        if item.plan.uses_ours("agent") and isinstance(scaffolds.get(name), ProgramScaffold):
            raise NotReady(
                f"scaffold {name} is a program in the sandbox, and needs a container: leave out --agent-sandbox=local"
            )


def _refuse_without_variants(settings: Settings, items: Sequence[AgentItem]) -> None:
    """Refuse a perturbation that no task can play: what it should show would silently be missing."""
    names = [each.name for each in settings.perturb.asked]
    for name in names:
        if names.count(name) > 1:
            raise NotReady(f"--agent-perturb={name} is given twice, and its attempts could not be told apart")
    if any(item.plays is not None for item in items):  # a check plays what there is
        return
    played = {item.perturbation.group for item in items if item.perturbation is not None}
    for each in settings.perturb.asked:
        if items and each.name not in played and (each.prompts is not None or each.author):
            why = (
                "no selected task asks for the fixture `perturbation`"
                if each.prompts is None
                else "no selected task has reviewed prompts of that name: see `pytest-agenteval variants make`"
            )
            raise NotReady(f"--agent-perturb={each.name} finds nothing to run: {why}")


def _refuse_unreachable(items: Sequence[AgentItem], scaffolds: Mapping[str, Scaffold]) -> None:
    """Refuse faults that the agent could never meet."""
    for item in items:
        plan = None if item.perturbation is None else item.perturbation.faults
        if plan is None or not item.plan.uses_ours("agent"):
            continue
        name = item.scaffold or REACT
        if plan.planes == ("model",) and not isinstance(scaffolds[name], OwnScaffold | ProgramScaffold):
            raise NotReady(
                f"model-faults never reach {name}: Inspect asks the model again itself, below the agent. They are for "
                "agents of your own and for programs in the sandbox; leave --agent-perturb=model-faults out"
            )
        if plan.planes == ("exec",) and isinstance(scaffolds[name], ProgramScaffold):
            raise NotReady(
                f"exec-faults never reach {name}: its commands run inside the container. Try "
                "--agent-perturb=model-faults, which it meets at its port"
            )


def _refuse_unpriced(settings: Settings, items: Sequence[AgentItem], names: Sequence[str], prices: PriceBook) -> None:
    unpriced = [name for name in names if prices.source(name) is None]
    if not unpriced:
        return
    way_out = "give its prices with --agent-prices=FILE, or install pytest-agenteval[prices]"
    if settings.money.max_cost is not None:
        raise NotReady(f"--max-cost cannot be held: the price of {unpriced[0]} is not known; {way_out}")
    if settings.gates.max_cost_per_attempt is not None:
        what = "--agent-max-cost-per-attempt cannot be judged"
        raise NotReady(f"{what}: the price of {unpriced[0]} is not known; {way_out}")
    for item in items:
        if item.options.max_cost is not None and item.model in unpriced:
            what = f"max_cost of {item.nodeid} cannot be held"
            raise NotReady(f"{what}: the price of {item.model} is not known; {way_out}")
