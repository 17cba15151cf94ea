"""pytest in a fresh process that is forked from one which has imported Inspect: a run costs half a second, not four."""

from __future__ import annotations

import functools
import multiprocessing
import multiprocessing.forkserver
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

__all__ = ["forked_pytest"]

_context = multiprocessing.get_context("forkserver")


@functools.cache
def _start_server() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # the server of Python 3.11 looks nowhere else
        _context.set_forkserver_preload(["support.warm_imports"])
        multiprocessing.forkserver.ensure_running()


def forked_pytest(
    folder: Path, arguments: Sequence[str], environment: Mapping[str, str], *, timeout: float = 60.0
) -> pytest.RunResult:
    """Run pytest with `arguments` in `folder`, in a process of its own.

    Raises:
        TimeoutError: it did not end in time; it is killed.
    """
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    _start_server()
    start = time.monotonic()
    process = _context.Process(target=_run, args=(folder, list(arguments), dict(environment), out, err))
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


def _run(folder: Path, arguments: list[str], environment: dict[str, str], out: Path, err: Path) -> None:
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
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
