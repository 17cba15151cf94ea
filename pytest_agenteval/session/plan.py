"""`--agent-plan`: prints the plan after collection and runs nothing."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from pytest_agenteval.collect.holdout import PLUGIN as HOLDOUT
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.reading import settings
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.options.values import EarlyStop
from pytest_agenteval.plugins import load_plugins
from pytest_agenteval.session.hooks import refuse_options
from pytest_agenteval.texts import inert

if TYPE_CHECKING:
    from pytest_agenteval.collect.holdout import Holdout
    from pytest_agenteval.plan.offered import Offered

__all__ = ["Planner"]


class Planner:
    """Replaces the hooks that run agent tasks, and pytest's own loop."""

    def __init__(self, config: pytest.Config) -> None:
        refuse_options(config)
        load_plugins(config.pluginmanager)
        if getattr(config.option, "numprocesses", None):
            raise pytest.UsageError(
                "--agent-plan runs nothing, so there is nothing to distribute: leave out xdist's -n"
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Print the plan. pytest continues by itself only if collection failed."""
        option = session.config.option
        if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
            return None
        from pytest_agenteval.plan.offered import Offered
        from pytest_agenteval.plan.ready import check

        items = [item for item in session.items if isinstance(item, AgentItem)]
        try:
            offered = Offered.by(session.config.hook)
            lines = _lines(settings(session.config), items, offered, session.config.get_terminal_writer().fullwidth)
        except NotReady as error:
            raise pytest.UsageError(str(error)) from None
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.section("plan")
            for text, markup in lines:
                reporter.write_line(text, **markup)
            holdout: Holdout | None = session.config.pluginmanager.get_plugin(HOLDOUT)
            if holdout is not None and holdout.note is not None:
                reporter.write_line(holdout.note)
        try:
            with redirect_stdout(StringIO()):  # Inspect prints a greeting
                check(settings(session.config), items, offered)
        except NotReady as error:
            raise pytest.UsageError(inert(f"the run would be refused: {error}")) from None
        return True


def _lines(asked: Settings, items: list[AgentItem], offered: Offered, width: int) -> list[tuple[str, dict[str, bool]]]:
    from pytest_agenteval.judge.passable import why_never
    from pytest_agenteval.options.rules import why_not_early
    from pytest_agenteval.plan.distinct import refuse_alike
    from pytest_agenteval.plan.duration import plan_duration
    from pytest_agenteval.plan.expect import detections, plan_costs, plan_early_stop, plan_perturbation
    from pytest_agenteval.plan.gates import cell_gates, gate_settings
    from pytest_agenteval.plan.outlook import attempts_of_baseline, outlook
    from pytest_agenteval.report.plan import CellPlan, plan_lines

    refuse_alike(items)
    at_once = asked.attempts.concurrency
    gates, plans = gate_settings(asked), []
    before = attempts_of_baseline(asked, [item.task_name for item in items])
    possible = why_not_early(asked, asked.attempts.early_stop or EarlyStop.EXACT, distributed=False) is None
    bases = [item for item in items if item.perturbation is None]
    known = outlook(asked, bases, offered)
    for cell, tasks in known.items():
        own = [(task.task, task.min_pass_rate) for task in tasks]
        on_grid = cell_gates(own, gates)
        early = None
        if possible and on_grid:
            first = asked.attempts.early_stop is EarlyStop.EXACT_FIRST
            early = plan_early_stop(tasks, asked.attempts.k, on_grid, at_once, every_first=first)
        found = [] if gates is None else detections(tasks, asked.attempts.k, gates, before)
        never = None if gates is None else why_never(own, asked.attempts.k, gates)
        costs = plan_costs(tasks, asked.attempts.k)
        perturbed = []
        names = {item.base_name: item.nodeid for item in bases if item.cell == cell}
        groups: dict[str, list[AgentItem]] = {}
        for item in items:
            if item.perturbation is not None and item.cell == cell and item.base_name in names:
                groups.setdefault(item.perturbation.group, []).append(item)
        for group, of in groups.items():
            theirs = {names[item.base_name] for item in of}
            of_bases = [task for task in tasks if task.task in theirs]
            perturbed.append(plan_perturbation(group, of_bases, sum(item.k for item in of), asked.attempts.k))
        plans.append(
            CellPlan(
                cell, costs, early, asked.attempts.early_stop, found, never, asked.agents.ask_confidence, perturbed
            )
        )
    duration = plan_duration([each for tasks in known.values() for each in tasks], asked.attempts.k, at_once)
    lines = plan_lines(plans, duration, asked.money.max_cost, asked.store.log_dir, width)
    return [(line.text, dict(line.markup)) for line in lines]
