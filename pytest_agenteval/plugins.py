"""Plugins of pytest-agenteval itself: how they are found, and called so that a failing one cannot change a verdict."""

from __future__ import annotations

from typing import Any

import pluggy

from pytest_agenteval import hookspecs

__all__ = ["GROUP", "call_each", "console_plugins", "load_plugins"]

GROUP = "pytest_agenteval"
"""The group of entry points that names the modules of such plugins."""


def console_plugins() -> pluggy.PluginManager:
    """The plugins for the console script, where no pytest runs: those of the entry points."""
    manager = pluggy.PluginManager("pytest")
    manager.add_hookspecs(hookspecs)
    load_plugins(manager)
    return manager


def load_plugins(manager: pluggy.PluginManager) -> None:
    """Load the modules of the entry points that are not loaded yet."""
    manager.load_setuptools_entrypoints(GROUP)


def call_each(hook: pluggy.HookCaller, **arguments: Any) -> tuple[list[Any], list[str]]:
    """Call each implementation separately, so that one that raises does not affect the others.

    Returns:
        The results other than None, in the order of registration, and a sentence for each implementation that raised.
    """
    results: list[Any] = []
    failed: list[str] = []
    for implementation in hook.get_hookimpls():
        try:
            result = implementation.function(*(arguments[name] for name in implementation.argnames))
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            failed.append(f"the plugin {implementation.plugin_name} failed in {hook.name}: {text}")
        else:
            if result is not None:
                results.append(result)
    return results, failed
