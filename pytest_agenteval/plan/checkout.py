"""What git says of the checkout that a run is made from. Without git, or outside a checkout, nothing is known."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Checkout", "checkout"]

_SECONDS = 20
"""So long git may take, as in a very large checkout on a slow disk."""
_LEAST_COMMIT = 40
"""The digits of a whole commit; git writes `(initial)` before the first one."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The state of a checkout. None means unknown."""

    commit: str | None = None
    branch: str | None = None
    """None also where HEAD is on no branch, as in most CI systems."""
    dirty: bool | None = None
    """Whether tracked files differ from the commit. Untracked ones, such as logs, are not looked at."""


def checkout(folder: Path) -> Checkout:
    """The checkout that a folder is in."""
    command = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        told = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return Checkout()
    lines = told.splitlines()
    heads = dict(line.removeprefix("# branch.").split(" ", 1) for line in lines if line.startswith("# branch."))
    commit, branch = heads.get("oid", ""), heads.get("head", "")
    return Checkout(
        commit=commit if len(commit) >= _LEAST_COMMIT else None,
        branch=None if branch in ("", "(detached)") else branch,
        dirty=any(not line.startswith("#") for line in lines),
    )
