"""Captures what attempts print and log, separately for each attempt while many run in one process."""

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
"""Libraries whose warnings and log records are not the user's: they run under every attempt, on the same thread."""

_current: contextvars.ContextVar[Capture | None] = contextvars.ContextVar("agenteval_capture", default=None)


class Capture:
    """What one attempt printed and logged."""

    def __init__(self) -> None:
        self.stdout, self.stderr, self.log = io.StringIO(), io.StringIO(), io.StringIO()

    def sections(self) -> list[tuple[str, str]]:
        """(name, text) for each stream that has any text."""
        streams = (("stdout", self.stdout), ("stderr", self.stderr), ("log", self.log))
        return [(name, stream.getvalue()) for name, stream in streams if stream.getvalue()]


@contextmanager
def captured(capture: Capture) -> Iterator[Capture]:
    """Send to `capture` whatever this task prints and logs, and every task and thread that it starts."""
    token = _current.set(capture)
    try:
        yield capture
    finally:
        _current.reset(token)


class _Router(io.TextIOBase):
    """Replaces a standard stream and writes to the capture of the task that prints."""

    def __init__(self, name: str, fallback: TextIO) -> None:
        self._name, self._fallback = name, fallback

    def _target(self) -> TextIO:
        capture = _current.get()
        return getattr(capture, self._name) if capture is not None else self._fallback

    def __getattr__(self, name: str) -> Any:  # buffer and the other attributes of a real stream
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
    """Ignore the libraries' warnings until the filters are restored.

    What they leave unclosed is collected at any time, even between attempts: with `-W error` that would fail the test
    that happens to run at that moment.
    """
    warnings.filterwarnings("ignore", category=category, module=rf"({'|'.join(LIBRARIES)})(\.|$)")


def forgive_libraries() -> Callable[[], None]:
    """Keep pytest from seeing what libraries leave unclosed, whenever it is collected; returns an undo function.

    Filters alone are not enough: pytest restores them after each hook, and with `-W error` a warning in a finalizer
    fails the test, or the session, that happens to run at that moment.
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
    """While the event loop is pumped, send streams and log records to their attempts and silence libraries' warnings.

    The user's `-W error` must not turn a warning inside Inspect into a failed attempt. Warnings of the user's own code
    are left as configured. Inspect's changes to the root logger are undone when the pumping ends.

    Args:
        streams: False leaves the standard streams alone (`pytest -s`: prints must appear at once).
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
