from __future__ import annotations

from support.suite_runs import run

__all__ = ["run"]
