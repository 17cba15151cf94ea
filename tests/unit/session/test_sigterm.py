"""Whose SIGTERM it is: handlers that were there are called and come back; what is not ours to catch is left alone."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.session import sigterm as module
from pytest_agenteval.session.sigterm import Sigterm


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def before() -> Iterator[Any]:
    """SIGTERM's handler is as it was afterwards, and a missing one cannot end these tests."""
    handler = signal.getsignal(signal.SIGTERM)
    yield handler
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def sigterm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sigterm]:
    monkeypatch.setattr(module, "_SAME_SECONDS", 0.0)
    made = Sigterm()
    yield made
    made.release()


def test_it_interrupts_once_and_then_only_the_loop(sigterm: Sigterm) -> None:
    sigterm.catch()
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        terminate()
    terminate()
    assert sigterm.came
    interrupted = []
    sigterm.interrupt = lambda: interrupted.append(1) is None
    terminate()
    assert interrupted == [1]


def test_it_does_not_interrupt_what_writes_reports_and_may_interrupt_what_others_do_at_the_end(
    sigterm: Sigterm,
) -> None:
    sigterm.catch()
    with sigterm.raising(False):
        terminate()
    assert sigterm.came
    with pytest.raises(KeyboardInterrupt), sigterm.raising(True):
        terminate()
    terminate()


def test_one_that_comes_twice_at_once_is_one() -> None:
    once = Sigterm()
    once.catch()
    interrupted = []
    once.interrupt = lambda: interrupted.append(1) is None
    for _ in range(3):
        terminate()
    once.release()
    assert interrupted == [1]


def exits(*_: object) -> None:
    sys.exit(143)


@pytest.mark.parametrize("theirs", [lambda *_: None, exits, signal.default_int_handler])
def test_a_handler_that_was_there_is_called_and_comes_back(sigterm: Sigterm, theirs: Callable[..., Any]) -> None:
    called = []

    def handler(number: int, frame: Any) -> None:
        called.append(number)
        theirs(number, frame)

    signal.signal(signal.SIGTERM, handler)
    sigterm.catch()
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        terminate()
    assert called == [signal.SIGTERM]
    sigterm.release()
    assert signal.getsignal(signal.SIGTERM) is handler


def test_a_handler_that_came_later_stays(sigterm: Sigterm) -> None:
    sigterm.catch()
    signal.signal(signal.SIGTERM, exits)
    sigterm.release()
    assert signal.getsignal(signal.SIGTERM) is exits


def test_where_it_is_ignored_it_stays_ignored(sigterm: Sigterm) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sigterm.catch()
    terminate()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert not sigterm.came


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals a process handles")
def test_faulthandler_keeps_it(sigterm: Sigterm, tmp_path: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with (tmp_path / "stack.txt").open("w") as file:
        faulthandler.register(signal.SIGTERM, file)
        sigterm.catch()
        terminate()
        faulthandler.unregister(signal.SIGTERM)
    assert "test_faulthandler_keeps_it" in (tmp_path / "stack.txt").read_text("utf-8")
    assert not sigterm.came


def test_a_session_in_another_thread_leaves_it_alone(sigterm: Sigterm, before: Any) -> None:
    thread = threading.Thread(target=lambda: (sigterm.catch(), sigterm.release()))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before


def test_workers_have_it_too(sigterm: Sigterm) -> None:
    worker = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(3600)"))
    sigterm.workers |= {"running": worker.pid, "gone": 2**22 + 1}  # there is no such pid
    sigterm.catch()
    with pytest.raises(KeyboardInterrupt):
        terminate()
    assert worker.wait() == -signal.SIGTERM
