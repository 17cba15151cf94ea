"""A log that cannot be written: its attempts end with that reason, others go on, and the run says so and ends in 10."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from support.forked_pytest import forked_pytest

from pytest_agenteval.cli.main import main

Mount = Callable[[str], Path]
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(source, *arguments, conftest=..., files=...)` in `tmp_path`; `source` becomes test_suite.py."""

    def run(
        source: str | None,
        *arguments: str,
        conftest: str = "",
        files: Mapping[str, str] | None = None,
        plugins: Sequence[str] = (),
    ) -> pytest.RunResult:
        texts = {"pytest.ini": "[pytest]\n", "conftest.py": conftest, **(files or {})}
        if source is not None:
            texts["test_suite.py"] = source
        for name, text in texts.items():
            (tmp_path / name).write_text(dedent(text), "utf-8")
        loaded = [word for plugin in ("pytest_agenteval.plugin", *plugins) for word in ("-p", plugin)]
        asked = ("--agent-model=agenteval/null", "--agent-sandbox=local")
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "400"}
        return forked_pytest(tmp_path, (*loaded, *asked, *arguments), environment, timeout=240.0)

    return run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """`disk("40k")` is a file system of that size; called again it changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size: str) -> Path:
        how = f"{'remount,' if folder.is_mount() else ''}size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("only root can mount a small file system")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


def live(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "live.json").read_text("utf-8"))
    return found


def counted(said: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Of each task how many attempts count, and how many passed."""
    return {task["task"]: (task["n"], task["c"]) for task in said["tasks"]}


def stored(folder: Path, logs: Path | str = "logs") -> dict[str, tuple[int, int]]:
    """What `pytest-agenteval report` finds of each task."""
    main(["report", str(folder / logs), f"--agent-json={folder / 'report.json'}"])
    return counted(json.loads((folder / "report.json").read_text("utf-8")))


OPTIONS = ("--agent-concurrency=2", "--agent-json=live.json", "--agent-log-dir=logs")
FILLS = """
import secrets
from inspect_ai.log import transcript
async def fill(attempt):
    attempt.agent_begins()
    with open("ran", "a") as ran: ran.write("x")
    transcript().info(secrets.token_hex(SIZE))
async def test_a(attempt): await fill(attempt)
async def test_b(attempt): await fill(attempt)
"""


@pytest.mark.parametrize(("k", "size"), [(3, 9_000), (30, 1_000)])
def test_a_full_disk_ends_the_run_and_resuming_completes_it(
    run: Run, tmp_path: Path, disk: Mount, k: int, size: int
) -> None:
    logs = disk("48k")
    arguments = (FILLS.replace("SIZE", str(size)), f"--k={k}", *OPTIONS[:2], f"--agent-log-dir={logs}")
    result = run(*arguments)
    assert result.ret == 10
    (log,) = logs.glob("*.eval")
    why = f"the log {log} could not be written (No space left on device)"
    assert why in result.stdout.str()
    assert "INCOMPLETE" in result.stdout.str()
    said = live(tmp_path)
    kept = counted(said)
    assert 0 < sum(n for n, _ in kept.values()) < 2 * k
    assert {task: found for task, found in stored(tmp_path, logs).items() if found != (0, 0)} == {
        task: found for task, found in kept.items() if found != (0, 0)
    }
    began = len((tmp_path / "ran").read_text())
    assert began < 2 * k  # nothing is spent on attempts that cannot be recorded
    disk("8m")
    result = run(*arguments, "--agent-resume")
    assert result.ret == 0
    assert set(counted(live(tmp_path)).values()) == {(k, k)}
    assert len((tmp_path / "ran").read_text()) - began == 2 * k - sum(n for n, _ in kept.values())


BREAKS = """
import errno, zipfile
import inspect_ai._util.atomic_write as writing
def failing(real, fails, error):
    calls = []
    def function(*arguments, **named):
        calls.append(1)
        if fails(len(calls)): raise error
        return real(*arguments, **named)
    return function
def break_writes(fails, error):
    writing._create_local_tempfile = failing(writing._create_local_tempfile, fails, error)
def break_ends(fails, error):
    import inspect_ai.log._recorders.eval as logs
    real = logs._copy_temp_to_local
    def failing(copy, log, last):
        if last and fails(): raise error
        real(copy, log, last)
    logs._copy_temp_to_local = failing
def break_copies(fails, error):
    zipfile.ZipFile.writestr = failing(zipfile.ZipFile.writestr, fails, error)
"""
ONE_LOG = """
import os, pytest
from inspect_ai.log._samples import sample_active
@pytest.fixture
def spoiled():
    log = sample_active().log_location
    os.path.isdir(log) or os.remove(log) or os.mkdir(log)
"""
PLAIN = "async def test_a(attempt): attempt.agent_begins()\n"


# An attempt is in the journal before the log is written: one whose log can no longer be written counts, as the last.
FAULTS = {
    "not permitted, of which Inspect says nothing": (
        "break_writes(lambda n: n > 3, PermissionError(errno.EACCES, 'no'))", "it may not be replaced", 3,
    ),
    "read-only": ("break_writes(lambda n: n > 3, OSError(errno.EROFS, 'read only'))", "read only", 3),
    "from the start": ("break_writes(lambda n: True, OSError(errno.EROFS, 'read only'))", "read only", 0),
    "Inspect's own copy": ("break_copies(lambda n: n > 9, OSError(errno.ENOSPC, 'no space'))", "no space", 2),
    "at its end": ("break_ends(lambda: True, OSError(errno.ENOSPC, 'no space'))", "no space", 6),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_log_that_can_no_longer_be_written(run: Run, tmp_path: Path, fault: str) -> None:
    breaks, words, counts = FAULTS[fault]
    result = run(PLAIN, "--k=6", "--agent-concurrency=1", *OPTIONS[1:], conftest=f"{BREAKS}{breaks}\n")
    assert result.ret == 10
    result.stdout.fnmatch_lines([f"*INCOMPLETE: *the log *.eval could not be written ({words})*"])
    assert counted(live(tmp_path)) == {"test_suite.py::test_a": (counts, counts)}
    if counts:
        assert stored(tmp_path) == {"test_suite.py::test_a": (counts, counts)}
        assert main(["report", str(tmp_path / "logs")]) == 10


def test_a_log_that_was_not_closed_is_incomplete_until_the_run_is_resumed(run: Run, tmp_path: Path) -> None:
    """All attempts are in it; what else pytest met is not. Resuming runs nothing again, and closes a log."""
    source = "async def test_a(attempt):\n    attempt.agent_begins()\n    open('ran', 'a').write('x')\n"
    breaks = "import os\nbreak_ends(lambda: not os.path.exists('space'), OSError(errno.ENOSPC, ''))\n"
    asked, report = ("--k=6", "--agent-concurrency=1", *OPTIONS[1:]), ["report", str(tmp_path / "logs")]
    assert run(source, *asked, conftest=BREAKS + breaks).ret == main(report) == 10
    (tmp_path / "space").touch()
    assert run(source, *asked, "--agent-resume", conftest=BREAKS + breaks).ret == main(report) == 0
    assert (tmp_path / "ran").read_text() == "x" * 6


def test_a_write_that_fails_once_is_tried_again(run: Run, tmp_path: Path) -> None:
    breaks = "break_writes(lambda n: n in (3, 5, 6), OSError(errno.EIO, 'for a moment'))\n"
    assert run(PLAIN, "--k=6", *OPTIONS, conftest=BREAKS + breaks).ret == 0
    assert counted(live(tmp_path)) == stored(tmp_path) == {"test_suite.py::test_a": (6, 6)}


def test_the_logs_of_other_suites_go_on(run: Run, tmp_path: Path) -> None:
    suites = {
        "test_one.py": "async def test_one(attempt, spoiled): attempt.agent_begins()\n" + PLAIN,
        "test_two.py": PLAIN,
    }
    result = run(None, "--k=4", *OPTIONS, conftest=ONE_LOG, files=suites)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*INCOMPLETE: *test-one*.eval could not be written (*"])
    said = counted(live(tmp_path))
    assert said["test_two.py::test_a"] == (4, 4)
    assert said["test_one.py::test_one"] == (0, 0)
    assert {task: found for task, found in said.items() if "two" in task} == {"test_two.py::test_a": (4, 4)}


def test_a_log_that_cannot_be_begun_ends_its_own_suite_only(run: Run, tmp_path: Path) -> None:
    """Inspect keeps its own copy of each log in TMPDIR, which may be full when a later suite begins."""
    conftest = """
    import errno
    from inspect_ai.log._recorders.eval import EvalRecorder
    real = EvalRecorder.log_init
    async def failing(self, eval, *arguments, **named):
        if "test_two" in eval.metadata["suite"]: raise OSError(errno.ENOSPC, "no space")
        return await real(self, eval, *arguments, **named)
    EvalRecorder.log_init = failing
    """
    suites = {f"test_{name}.py": PLAIN for name in ("one", "two", "three")}
    result = run(None, "--k=2", *OPTIONS, conftest=conftest, files=suites)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*INCOMPLETE: *test-two*.eval could not be written (no space)*"])
    kept = {f"test_{name}.py::test_a": (2, 2) for name in ("one", "three")}
    assert counted(live(tmp_path)) == {**kept, "test_two.py::test_a": (0, 0)} == stored(tmp_path)
    assert main(["report", str(tmp_path / "logs")]) == 10


def test_a_worker_of_xdist_says_which_log_could_not_be_written(run: Run, tmp_path: Path) -> None:
    breaks = "break_writes(lambda n: n > 3, OSError(errno.EROFS, 'read only'))\n"
    arguments = ("--k=6", "--agent-concurrency=1", *OPTIONS[1:], "-n1")
    result = run(PLAIN, *arguments, conftest=BREAKS + breaks, plugins=["xdist"])
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*INCOMPLETE: *the log *.eval could not be written (read only)*"])
    assert counted(live(tmp_path)) == {"test_suite.py::test_a": (3, 3)} == stored(tmp_path)


def test_a_log_directory_that_is_removed_is_made_again(run: Run, tmp_path: Path) -> None:
    source = """
    import shutil
    async def test_a(attempt):
        attempt.agent_begins()
        if attempt.number == 3: shutil.rmtree("logs")
    """
    assert run(source, "--k=6", *OPTIONS).ret == 0
    assert stored(tmp_path) == {"test_suite.py::test_a": (6, 6)}


@pytest.mark.parametrize(("which", "counts"), [("first", 4), ("every", 3)])
def test_what_cannot_be_encoded_harms_no_other_attempt(run: Run, tmp_path: Path, which: str, counts: int) -> None:
    """Inspect leaves out the content, and keeps the outcome; where that does not help, the one attempt is missing."""
    conftest = f"""
    from inspect_ai.log import EvalSample
    real, met = EvalSample.summary, []
    def failing(self):
        if self.epoch == 2 and ({which == "every"} or not met):
            met.append(1)
            raise ValueError("nested too deeply")
        return real(self)
    EvalSample.summary = failing
    """
    result = run(PLAIN, "--k=4", *OPTIONS, conftest=conftest)
    assert counted(live(tmp_path)) == {"test_suite.py::test_a": (counts, counts)} == stored(tmp_path)
    assert result.ret == (0 if counts == 4 else 10)
    assert ("it cannot be encoded (nested too deeply)" in result.stdout.str()) is (counts < 4)


def test_a_suite_that_inspect_ends_does_not_keep_anybody_waiting(run: Run, tmp_path: Path) -> None:
    conftest = """
    from pytest_agenteval.engine.eval.feed import Attempts
    real = Attempts.sample_complete
    async def failing(self, sample):
        await real(self, sample)
        if "test_one" in str(sample.id): raise RuntimeError("a fault of the harness")
    Attempts.sample_complete = failing
    """
    suites = {"test_one.py": PLAIN, "test_two.py": PLAIN}
    result = run(None, "--k=6", *OPTIONS, conftest=conftest, files=suites)
    assert result.ret == 10
    assert (
        "INCOMPLETE: Inspect ended test_one.py early: RuntimeError('a fault of the harness'); 4 attempts did not run"
        in result.stdout.str()
    )
    said = counted(live(tmp_path))
    assert said["test_two.py::test_a"] == (6, 6)
    assert said["test_one.py::test_a"] == (2, 2)
    assert said == stored(tmp_path)


def test_a_body_that_stops_the_loop_stops_nothing(run: Run) -> None:
    source = """
    import asyncio
    async def test_a(attempt):
        attempt.agent_begins()
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        assert attempt.number != 2
    async def test_b(attempt): ...
    """
    result = run(source, "--k=3")
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1


def test_what_nothing_moves_for_is_named(run: Run) -> None:
    conftest = """
    import asyncio
    from inspect_ai.model import ModelAPI, ModelOutput, modelapi
    @modelapi(name="slow")
    class Slow(ModelAPI):
        async def generate(self, *_, **__):
            await asyncio.sleep(1.2)
            return ModelOutput.from_content("slow", "done")
    """
    source = """
    import asyncio, time
    from inspect_ai.model import get_model
    async def test_call(attempt):
        attempt.agent_begins()
        await get_model("slow/thinker").generate("x")
    async def test_own(attempt): await asyncio.sleep(1.2)
    async def test_blocks(attempt): time.sleep(1.2)
    """
    for test, words in {
        "test_call": "nothing has moved for * s; waiting for: test_suite.py::test_call attempt 1: "
        "a call of *thinker, for 0 s *",
        "test_own": "*waiting for: test_suite.py::test_own attempt 1: its own code, *",
        "test_blocks": "*something blocks the event loop in */test_suite.py:8 (test_blocks); *",
    }.items():
        result = run(source, "--agent-stall-notice=0.4s", "-k", test, conftest=conftest)
        result.stderr.fnmatch_lines([f"agent evaluation: {words}"])
        assert result.ret == 0  # it informs, and ends nothing
    assert "moved" not in str(run(source, "-k", "test_own").stderr)


def test_names_do_not_reach_the_terminal_raw() -> None:
    from pytest_agenteval.report.stalls import StallNotice

    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        StallNotice(writer, None, 1.0)._say("the tool \x1b[2Jwipe\u202e")  # type: ignore[arg-type]
        os.close(writer)
        assert pipe.read().decode().splitlines()[1].startswith("agent evaluation: the tool  [2Jwipe  (")
