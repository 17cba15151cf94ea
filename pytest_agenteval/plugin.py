"""The pytest plugin. It imports pytest and what pytest has loaded; everything else loads with the first agent task."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_agenteval import hookspecs
from pytest_agenteval.collect.fixtures import (
    INSPECT_TASK,
    LOOKALIKES,
    MARK,
    NAMES,
    agent,
    agent_model,
    agent_scaffold,
    attempt,
    perturbation,
    rules,
    sandbox,
)
from pytest_agenteval.options.table import SETTINGS, add_options, is_any_used

if TYPE_CHECKING:
    from pytest_agenteval.collect.items import AgentItem

__all__ = ["agent", "agent_model", "agent_scaffold", "attempt", "perturbation", "rules", "sandbox"]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let conftest files and other plugins implement our hooks."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register options and ini keys."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options. What runs agent tasks is registered only if something asks for them."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(max_cost, time_limit, token_limit, turn_limit, grading_time_limit, min_pass_rate, solution, answer, "
        "files, variants, rules, holdout, sandbox, network, cpus, memory, user, runtime, resources, leftovers): "
        "an agent task, run k times by pytest-agenteval, and its options",
    )
    if not is_any_used(config):
        return
    from pytest_agenteval.options.reading import settings

    asked = settings(config)
    if asked.inspect_tasks:
        from pytest_agenteval.session.inspect_tasks import PLUGIN as INSPECT_TASKS
        from pytest_agenteval.session.inspect_tasks import NamedTasks

        config.pluginmanager.register(NamedTasks(config), INSPECT_TASKS)
    if not asked.attempts.holdout:
        from pytest_agenteval.collect.holdout import PLUGIN as HOLDOUT
        from pytest_agenteval.collect.holdout import Holdout

        config.pluginmanager.register(Holdout(config), HOLDOUT)
    if asked.attempts.shard is not None:
        from pytest_agenteval.collect.shards import PLUGIN, Sharding

        config.pluginmanager.register(Sharding(config, asked.attempts.shard), PLUGIN)
    if asked.plan:
        from pytest_agenteval.session.plan import Planner

        config.pluginmanager.register(Planner(config), "pytest_agenteval_planner")
    elif asked.active:
        from pytest_agenteval.session.hooks import Running

        config.pluginmanager.register(Running(config), "pytest_agenteval_running")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Several models or scaffolds make several cells: every agent task once per model and scaffold that it uses."""
    if hasattr(metafunc.function, INSPECT_TASK):
        from pytest_agenteval.session.inspect_tasks import once_per_sample

        once_per_sample(metafunc)
    asked = metafunc.config.stash.get(SETTINGS, None)
    if asked is None:  # no option is used
        return
    _once_per_model(metafunc, asked.agents.models)
    if len(asked.agents.scaffolds) > 1 and "agent_scaffold" in metafunc.fixturenames:
        from pytest_agenteval.collect.items import needs

        if needs(metafunc, "agent_scaffold"):
            metafunc.parametrize("agent_scaffold", asked.agents.scaffolds, ids=asked.agents.scaffolds, indirect=True)


def _once_per_model(metafunc: pytest.Metafunc, models: tuple[str, ...]) -> None:
    if len(models) < 2:
        return
    if "agent_model" in metafunc.fixturenames:
        from pytest_agenteval.collect.items import needs

        if needs(metafunc, "agent_model"):
            metafunc.parametrize("agent_model", models, ids=models, indirect=True)
    elif any(mark.name == MARK for mark in metafunc.definition.iter_markers()):
        pytest.fail(
            f"{metafunc.definition.nodeid} carries the mark {MARK} but uses none of {', '.join(NAMES)}: "
            "with several --agent-model it has to name agent_model as a parameter",
            pytrace=False,
        )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> Generator[None, Any, Any]:
    """Turn collected agent tasks into items of our own; all other tests stay as they are."""
    made = yield
    if not isinstance(made, list):
        return made
    items = [_as_agent_item(item) if isinstance(item, pytest.Function) else item for item in made]
    asked = collector.config.stash.get(SETTINGS, None)
    if asked is None or not asked.perturb.asked:
        return items
    from pytest_agenteval.collect.variants import with_variants

    return with_variants(items, asked)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Refuse agent tasks in `unittest.TestCase` classes: unittest runs those itself, once, without fixtures."""
    report: pytest.CollectReport = yield
    if report.passed and isinstance(collector, pytest.Class) and _is_test_case(collector.obj):
        for item in report.result:
            if isinstance(item, pytest.Function) and _asks_for_attempts(item):
                report.outcome, report.result = "failed", []
                report.longrepr = (
                    f"{item.nodeid} is an agent task in a unittest.TestCase, which runs its tests itself, once: "
                    "make it a function, or a method of a class that does not derive from TestCase"
                )
                break
    return report


def _is_test_case(cls: object) -> bool:
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(cls, type) and issubclass(cls, unittest.TestCase)


def _asks_for_attempts(function: pytest.Function) -> bool:
    if function.get_closest_marker(MARK) is not None:
        return True
    if not any(name in function.fixturenames for name in NAMES):
        return False
    from pytest_agenteval.collect.items import plan_of

    return plan_of(function).uses_ours()


def _as_agent_item(function: pytest.Function) -> pytest.Function | AgentItem:
    marked = function.get_closest_marker(MARK) is not None
    if not marked:
        _refuse_misspelt(function)
    if not marked and not any(name in function.fixturenames for name in NAMES):
        return function
    from pytest_agenteval.collect.items import AgentItem, is_agent_task, plan_of

    plan = plan_of(function)
    if is_agent_task(function, plan):
        if inspect.isgeneratorfunction(function.obj) or inspect.isasyncgenfunction(function.obj):
            # pytest reports this for generators only, and leaves async ones to plugins: such a test would pass without
            # running
            raise pytest.Collector.CollectError(
                f"'yield' keyword is allowed in fixtures, but not in tests ({function.nodeid})"
            )
        try:
            return AgentItem.of(function)
        except ValueError as error:
            raise pytest.Collector.CollectError(f"{function.nodeid}: {error}") from None
    if plan.lookalike:
        function.config.stash.setdefault(LOOKALIKES, []).append(function.nodeid)
    return function


def _refuse_misspelt(function: pytest.Function) -> None:
    """A mark with a misspelt name would silently lose its limits."""
    for mark in function.iter_markers():
        if mark.name != MARK and mark.name.lower().replace("_", "").rstrip("s") == MARK.replace("_", ""):
            raise pytest.Collector.CollectError(f"{function.nodeid}: the mark {mark.name}: did you mean {MARK}?")
