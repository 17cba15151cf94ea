"""pytest in a fresh process that is forked from one which has imported Inspect: a run costs half a second, not four."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.warm_python import context, start_server, warm_python

__all__ = ["forked", "forked_pytest"]


def forked(target: Callable[..., None], *arguments: Any, timeout: float) -> None:
    """Call `target` in such a process.

    Raises:
        TimeoutError: it did not end in time; it is killed.
        RuntimeError: it ended otherwise than by returning.
    """
    start_server()
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{target.__name__} did not end in {timeout} s")
    if process.exitcode:
        raise RuntimeError(f"{target.__name__} ended with {process.exitcode}")


def forked_pytest(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str], *, stdin: str = "", timeout: float = 60.0
) -> pytest.RunResult:
    """Run pytest with `arguments` in `folder`, in a process of its own that reads `stdin`.

    Raises:
        TimeoutError: it did not end in time; it is killed.
    """
    files = [folder / name for name in ("stdin.txt", "stdout.txt", "stderr.txt")]
    for file, text in zip(files, (stdin, "", ""), strict=True):
        file.write_text(text, "utf-8")
    _, out, err = files
    start_server()
    start = time.monotonic()
    process = context.Process(target=_run, args=(folder, list(arguments), dict(environment), files, warm_python()))
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"pytest {' '.join(arguments)} did not end in {timeout} s:\n{out.read_text()}")
    lines, errors = out.read_text("utf-8").splitlines(), err.read_text("utf-8").splitlines()
    for line in lines:
        print(line)
    for line in errors:
        print(line, file=sys.stderr)
    return pytest.RunResult(process.exitcode, lines, errors, time.monotonic() - start)


def _run(folder: Path, arguments: list[str], environment: dict[str, str], files: list[Path], python: str) -> None:
    sys.executable = python
    for number, path in enumerate(files):
        file = os.open(path, os.O_WRONLY if number else os.O_RDONLY)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0:0] = [str(folder)]
    sys.argv = ["pytest", *arguments]
    status = pytest.console_main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
