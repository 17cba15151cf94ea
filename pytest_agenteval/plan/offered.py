"""What plugins offer to a run: prices, scaffolds and sandboxes in addition to our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pluggy

from pytest_agenteval.engine.sandboxes.offered import OfferedSandbox
from pytest_agenteval.money.rates import PriceBook

__all__ = ["Offered"]


@dataclass(frozen=True, slots=True)
class Offered:
    """Requested once, before anything is spent. An exception of a plugin stops the run."""

    prices: tuple[PriceBook, ...] = ()
    scaffolds: Mapping[str, Any] = field(default_factory=dict)
    """By name, anything that `module:attribute` may stand for."""
    sandboxes: Mapping[str, OfferedSandbox] = field(default_factory=dict)
    """By the name that `--agent-sandbox` takes."""

    @classmethod
    def by(cls, hook: pluggy.HookRelay) -> Offered:
        """What the registered plugins offer. If two offer the same name, the one registered last wins."""
        scaffolds, sandboxes = hook.pytest_agenteval_scaffolds(), hook.pytest_agenteval_sandbox_providers()
        return cls(
            prices=tuple(hook.pytest_agenteval_prices()),
            scaffolds={name: made for each in reversed(scaffolds) for name, made in each.items()},
            sandboxes={name: made for each in reversed(sandboxes) for name, made in each.items()},
        )
