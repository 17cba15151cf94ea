"""What attempts print and log, kept apart per attempt while many of them run in one process."""

from __future__ import annotations

import contextvars
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

__all__ = ["Capture", "captured", "forgive_libraries", "quiet_libraries", "routed"]

LIBRARIES = (
    "acp", "aiobotocore", "aiohttp", "anthropic", "anyio", "asyncio", "botocore", "bs4", "click", "docker", "dotenv",
    "fsspec", "genai_prices", "google", "httpcore", "httpx", "ijson", "importlib", "inspect_ai", "jsonlines",
    "jsonpatch", "jsonref", "jsonschema", "mcp", "mmh3", "openai", "psutil", "pydantic", "pydantic_core", "requests",
    "rich", "s3fs", "semver", "shortuuid", "sniffio", "tenacity", "textual", "tiktoken", "upath", "urllib3", "uvicorn",
    "yaml", "zipfile", "zipfile_zstd", "zipp", "zstandard",
)  # fmt: skip
"""Whose warnings and log records are not the user's: they run under every attempt, on the same thread."""

_current: contextvars.ContextVar[Capture | None] = contextvars.ContextVar("agenteval_capture", default=None)


class Capture:
    """What one attempt printed and logged."""

    def __init__(self) -> None:
        self.stdout, self.stderr, self.log = io.StringIO(), io.StringIO(), io.StringIO()

    def sections(self) -> list[tuple[str, str]]:
        """(name, text) of each stream that has any text."""
        streams = (("stdout", self.stdout), ("stderr", self.stderr), ("log", self.log))
        return [(name, stream.getvalue()) for name, stream in streams if stream.getvalue()]


@contextmanager
def captured(capture: Capture) -> Iterator[Capture]:
    """Send what this task, and every task and thread it starts, prints and logs to `capture`."""
    token = _current.set(capture)
    try:
        yield capture
    finally:
        _current.reset(token)


class _Router(io.TextIOBase):
    """Stands in for a standard stream and writes to the capture of whoever prints."""

    def __init__(self, name: str, fallback: TextIO) -> None:
        self._name, self._fallback = name, fallback

    def _target(self) -> TextIO:
        capture = _current.get()
        return getattr(capture, self._name) if capture is not None else self._fallback

    def __getattr__(self, name: str) -> Any:  # buffer and whatever else a real stream has
        return getattr(self._fallback, name)

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        return self._target().write(text)

    def flush(self) -> None:
        self._target().flush()

    def fileno(self) -> int:
        return self._fallback.fileno()

    def isatty(self) -> bool:
        return self._fallback.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._fallback.encoding


class _LogRouter(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        capture = _current.get()
        if capture is not None and record.name.split(".")[0] not in LIBRARIES:
            capture.log.write(self.format(record) + "\n")


def quiet_libraries(category: type[Warning] = Warning) -> None:
    """Ignore the libraries' warnings from here on, until the filters are next restored.

    What they leave unclosed is collected at any time, also between attempts: with `-W error` it would be held against
    the test that happens to run then.
    """
    warnings.filterwarnings("ignore", category=category, module=rf"({'|'.join(LIBRARIES)})(\.|$)")


def forgive_libraries() -> Callable[[], None]:
    """Keep what libraries leave unclosed from pytest, whenever the garbage collector finds it; returns the undoing.

    Filters alone do not hold: pytest restores them after each hook, and with `-W error` a warning in a finalizer is
    held against the test, or the session, that happens to run then.
    """
    previous = sys.unraisablehook

    def forgiving(unraisable: sys.UnraisableHookArgs) -> None:
        home = str(getattr(unraisable.object, "__module__", "")).split(".")[0]
        if not (isinstance(unraisable.exc_value, ResourceWarning) and home in LIBRARIES):
            previous(unraisable)

    def undo() -> None:
        if sys.unraisablehook is forgiving:
            sys.unraisablehook = previous

    sys.unraisablehook = forgiving
    return undo


@contextmanager
def routed(*, streams: bool = True) -> Iterator[None]:
    """While the event loop is pumped: streams and log records go to their attempts, libraries' warnings stay quiet.

    The user's `-W error` must not turn a warning inside Inspect into a failed attempt; warnings of the user's own code
    are left as they were asked for. What Inspect does to the root logger does not outlast the pumping.

    Args:
        streams: False leaves the standard streams alone (`pytest -s`: prints are wanted at once).
    """
    handler = _LogRouter()
    handler.setFormatter(logging.Formatter("%(levelname)-8s %(name)s:%(filename)s:%(lineno)d %(message)s"))
    root, saved = logging.getLogger(), (sys.stdout, sys.stderr)
    level, handlers = root.level, root.handlers[:]
    root.addHandler(handler)
    with warnings.catch_warnings():
        quiet_libraries()
        if streams:
            sys.stdout, sys.stderr = _Router("stdout", sys.stdout), _Router("stderr", sys.stderr)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = saved
            root.handlers[:] = handlers
            root.setLevel(level)
