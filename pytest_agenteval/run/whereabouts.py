"""Where in the suite an exception passed through, and its message in a few lines."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_agenteval.collect.items import AgentItem

__all__ = ["short_message", "where_in_suite"]

_LONGEST = 2_000


def where_in_suite(error: BaseException, item: AgentItem) -> str | None:
    """`file:line` of the innermost frame in the test's file, else in its directory's tree, relative to the root.

    If the exception has no such frame, its cause is used: a time-out is raised outside the code that it cut off.
    """
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if frame[0] == item.path]
    near = [frame for frame in frames if item.path.parent in frame[0].parents and "site-packages" not in frame[0].parts]
    for path, line in [*reversed(own), *reversed(near)]:
        root = item.config.rootpath
        return f"{path.relative_to(root) if root in path.parents else path}:{line}"
    return where_in_suite(error.__cause__, item) if error.__cause__ is not None else None


def short_message(error: BaseException) -> str:
    """The exception as pytest would print it without its traceback, cut to a few hundred words.

    If tenacity gave up, the last try says more than its `RetryError`.
    """
    if type(error).__name__ == "RetryError" and error.__cause__ is not None:
        return f"{short_message(error.__cause__)} (after all retries)"
    text = pytest.ExceptionInfo.from_exception(error).exconly(tryshort=True).strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
