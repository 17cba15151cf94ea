"""The commands of the exec server: start, input, output, time-out, end."""

# Plain `os` and `try`: fewer modules to load, so a container starts faster.
# ruff: noqa: PTH113, PTH118, PTH123, PTH208, SIM105

from __future__ import annotations

import errno
import os
import select
import signal
import struct
import time

from pytest_agenteval.sandbox.exec.inside.wire import PIECE, Wire

__all__ = ["Commands"]

EXEC = struct.Struct("<IBII")
GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL."""
DYING = 0.2
"""The longest wait for killed processes to be gone, in seconds; one that hangs in the kernel is not waited for."""
QUIET, LINGERING = 0.05, 2.0
"""Where a child left behind holds the output open, the end is reported after this silence or this time, in seconds."""
DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PIPES, CWD, SPAWN = range(3)


def set_nonblocking(fd: int) -> None:
    """Make reads and writes of `fd` return at once."""
    os.set_blocking(fd, False)


def find_program(name: bytes, path: bytes) -> bytes:
    """Where `name` is, searched as a shell would; the command's working directory is already the current one."""
    if b"/" in name:
        return name
    for folder in path.split(b":"):
        candidate = os.path.join(folder or b".", name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(errno.ENOENT, "")


def spawn(program: bytes, args: list[bytes], env: dict[bytes, bytes], fds: tuple[int, int, int]) -> int:
    """Start a process in a session of its own, with `fds` as its stdin, stdout and stderr, and return its id."""
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)]
    # Python ignores SIGPIPE and SIGXFSZ, and a child would inherit that.
    defaults = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD]
    try:
        return os.posix_spawn(program, args, env, file_actions=actions, setsid=True, setsigdef=defaults)
    except NotImplementedError:  # a C library without POSIX_SPAWN_SETSID
        return os.posix_spawn(program, args, env, file_actions=actions, setpgroup=0, setsigdef=defaults)


def session(leader: int) -> list[int]:
    """The processes of the session of `leader`, also those a shell gave groups of their own.

    Without those that have ended and wait for nothing but to be collected by this process.
    """
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/" + entry + "/stat", "rb") as file:
                    state, parent, _, of = file.read().rpartition(b")")[2].split()[:4]
                if int(of) == leader and not (state == b"Z" and int(parent) == os.getpid()):
                    found.append(int(entry))
            except (OSError, ValueError):
                pass
    return found


def signal_session(leader: int, number: int) -> None:
    """Signal the group of `leader` and every process of its session."""
    try:
        os.killpg(leader, number)
    except OSError:
        pass
    for pid in session(leader):
        try:
            os.kill(pid, number)
        except OSError:
            pass


def end_session(leader: int) -> None:
    """Kill a session, and let it die, so that a command started next meets nothing of it.

    The kernel takes a moment for that, longer on a busy machine; the server waits for it, but not for ever.
    """
    signal_session(leader, signal.SIGKILL)
    patience = time.monotonic() + DYING
    while session(leader) and time.monotonic() < patience:
        time.sleep(0.001)
        signal_session(leader, signal.SIGKILL)  # what was forked meanwhile


class Job:
    """One command."""

    def __init__(self, call: int, pid: int, stdin: int, outputs: dict[int, str], deadline: float | None) -> None:
        self.call, self.pid, self.stdin, self.outputs, self.deadline = call, pid, stdin, outputs, deadline
        self.running = True
        self.timed_out = False
        self.code = 0
        self.pending: list[bytes | memoryview] = []
        self.at_eof = False
        self.quiet_at = self.give_up_at = 0.0


class Commands:
    """All commands of a server."""

    def __init__(self, wire: Wire, env: dict[bytes, bytes]) -> None:
        self._wire = wire
        self._jobs: dict[int, Job] = {}
        self._pids: dict[int, Job] = {}
        self._env = env
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)

    def start(self, call: int, payload: bytes) -> None:
        """Start a command."""
        milliseconds, with_stdin, n_args, n_env = EXEC.unpack_from(payload)
        words = payload[EXEC.size :].split(b"\0")
        args, settings = words[1 : 1 + n_args], words[1 + n_args : 1 + n_args + n_env]
        env = dict(self._env)
        for setting in settings:
            name, _, value = setting.partition(b"=")
            env[name] = value
        opened: list[int] = []
        stage = PIPES
        try:
            for _ in range(3 if with_stdin else 2):
                opened += os.pipe()
            stage = CWD
            os.chdir(words[0])  # a posix_spawn has no working directory of its own
            stage = SPAWN
            fds = (opened[4] if with_stdin else self._null, opened[1], opened[3])
            pid = spawn(find_program(args[0], env.get(b"PATH", DEFAULT_PATH)), args, env, fds)
        except (OSError, ValueError) as error:
            for fd in opened:
                os.close(fd)
            self._wire.fail(call, error, stage)
            return
        for fd in (opened[1], opened[3], *opened[4:5]):
            os.close(fd)
        deadline = time.monotonic() + milliseconds / 1000 if milliseconds else None
        job = Job(call, pid, opened[5] if with_stdin else -1, {opened[0]: "1", opened[2]: "2"}, deadline)
        self._jobs[call] = self._pids[pid] = job
        for fd in job.outputs:
            set_nonblocking(fd)
            self._wire.add_source(fd, lambda fd=fd: self._on_output(job, fd))  # type: ignore[misc]
        if with_stdin:
            set_nonblocking(job.stdin)

    def give(self, call: int, data: bytes) -> bool:
        """Take input for a command; False when there is none that wants it."""
        job = self._jobs.get(call)
        if job is None or job.stdin < 0:
            return False
        job.pending.append(data)
        self._feed(job)
        return True

    def end_input(self, call: int) -> None:
        """Close the input of a command, if there is one, when all that is pending has been passed on."""
        job = self._jobs.get(call)
        if job is not None and job.stdin >= 0:
            job.at_eof = True
            self._feed(job)

    def kill(self, call: int) -> None:
        """Kill a command, if there is one."""
        job = self._jobs.get(call)
        if job is not None and job.running:
            end_session(job.pid)
            self.reap()

    def kill_all(self) -> None:
        """Kill every command, and wait for none."""
        for job in self._jobs.values():
            if job.running:
                signal_session(job.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Collect the processes that have ended, also those the container's PID 1 inherits."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except OSError:
                return
            if not pid:
                return
            job = self._pids.pop(pid, None)
            if job is None:
                continue
            job.running = False
            job.code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            if job.timed_out:
                end_session(pid)  # children that ignored SIGTERM
            now = time.monotonic()
            job.quiet_at, job.give_up_at = now + QUIET, now + LINGERING
            for fd in list(job.outputs):
                self._on_output(job, fd)

    def next_event(self) -> float | None:
        """When `advance` has something to do if nothing else happens, as a time of the monotonic clock."""
        times = []
        for job in self._jobs.values():
            if job.running:
                if job.deadline is not None:
                    times.append(job.deadline)
            elif not job.outputs:
                times.append(0.0)
            elif not self._wire.paused:
                times.append(min(job.quiet_at, job.give_up_at))
        return min(times) if times else None

    def advance(self) -> None:
        """Enforce time-outs, and report the commands that have ended."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.running:
                if job.deadline is not None and now >= job.deadline:
                    signal_session(job.pid, signal.SIGKILL if job.timed_out else signal.SIGTERM)
                    job.deadline = None if job.timed_out else now + GRACE
                    job.timed_out = True
            elif not job.outputs or not (self._wire.paused or now < min(job.quiet_at, job.give_up_at)):
                self._finish(job)

    def _finish(self, job: Job) -> None:
        for fd in job.outputs:  # go on draining: a server started in the background must not die of SIGPIPE
            self._wire.unwatch(fd)
            self._wire.watch(fd, select.EPOLLIN, lambda fd=fd: self._drain(fd))  # type: ignore[misc]
        self._close_stdin(job)
        del self._jobs[job.call]
        self._wire.done(job.call, job.code, job.timed_out)

    def _close(self, fd: int) -> None:
        self._wire.unwatch(fd)
        os.close(fd)

    def _on_output(self, job: Job, fd: int) -> None:
        for _ in range(8):
            if self._wire.paused:
                return
            try:
                data = os.read(fd, PIECE)
            except BlockingIOError:
                return
            if not data:
                del job.outputs[fd]
                self._close(fd)
                return
            job.quiet_at = time.monotonic() + QUIET
            self._wire.send(job.outputs[fd], job.call, data)
            if len(data) < 4096:
                return

    def _drain(self, fd: int) -> None:
        try:
            if os.read(fd, PIECE):
                return
        except BlockingIOError:
            return
        self._close(fd)

    def _feed(self, job: Job) -> None:
        """Pass pending input on; what the command does not want is dropped, and acknowledged all the same."""
        taken = 0
        try:
            while job.pending:
                count = os.write(job.stdin, job.pending[0])
                taken += count
                job.pending[0] = memoryview(job.pending[0])[count:]
                if not job.pending[0]:
                    del job.pending[0]
        except BlockingIOError:
            if not self._wire.watches(job.stdin):
                self._wire.watch(job.stdin, select.EPOLLOUT, lambda: self._feed(job))
        except OSError:
            taken += sum(map(len, job.pending))
            job.pending.clear()
            job.at_eof = True
        if taken:
            self._wire.acknowledge(job.call, taken)
        if not job.pending:
            if job.at_eof:
                self._close_stdin(job)
            else:
                self._wire.unwatch(job.stdin)

    def _close_stdin(self, job: Job) -> None:
        if job.stdin >= 0:
            self._close(job.stdin)
            job.stdin = -1
