"""The provider `agenteval` against Inspect's provider `docker`, interleaved in one run: medians and their ratios.

Run: `python tests/bench/bench_sandbox.py [--rounds 5] [--only exec,files,lifecycle,workload,orphans,soak] [--quick]`.
Needs a Docker daemon on this machine (processor time is read from its processes) and nothing else to do for it.
Prints each measurement as it is made (stderr), the medians of a group's measures as soon as the group is done, and
`complete` at the end; a measurement that cannot be made is named, and ends the run with status 1. `soak` (1,000
attempts, `agenteval` only) is left out unless it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from inspect_ai.util import SandboxEnvironment
from inspect_ai.util._concurrency import init_concurrency
from inspect_ai.util._sandbox.docker.docker import DockerSandboxEnvironment
from inspect_ai.util._sandbox.events import SandboxEnvironmentProxy
from inspect_ai.util._subprocess import init_max_subprocesses

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.asked.compose import default_compose
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

TESTS = Path(__file__).parent.parent
STOCK, OURS = "docker", "agenteval"
TICKS = os.sysconf("SC_CLK_TCK")
PROGRAM_SECONDS = 900
Measures = dict[tuple[str, str], list[float]]


class Bench:
    """The measures so far, and how to get more."""

    def __init__(self, compose: str, quick: bool) -> None:
        self.values: Measures = defaultdict(list)
        self.quick = quick
        self._printed: set[str] = set()
        self.compose = compose
        self.providers: dict[str, tuple[type[SandboxEnvironment], Any]] = {
            STOCK: (DockerSandboxEnvironment, compose),
            OURS: (AgentevalSandbox, ContainerConfig()),
        }

    def note(self, measure: str, provider: str, value: float) -> None:
        self.values[measure, provider].append(value)
        print(f"  {measure:40s} {provider:10s} {value:10.2f}", file=sys.stderr, flush=True)

    def print_new_rows(self) -> None:
        """Print the medians of the measures that have come since the last time."""
        for measure in dict.fromkeys(measure for measure, _ in self.values):
            if measure in self._printed:
                continue
            self._printed.add(measure)
            found = [self.values.get((measure, name)) for name in (STOCK, OURS)]
            stock, ours = (None if values is None else statistics.median(values) for values in found)
            cells = " ".join(f"{'-' if value is None else format(value, '.2f'):>10s}" for value in (stock, ours))
            ratio = f"{stock / ours:.2f}" if stock is not None and ours else "-"
            print(f"{measure:42s} {cells} {ratio:>8s}", flush=True)

    async def exec(self, provider: str) -> None:
        """`true`, one and four at once, through Inspect's proxy; with the processor time of everything involved."""
        box, close = await self._open(provider)
        for at_once in (1, 4):
            count = {STOCK: 4, OURS: 200}[provider] * at_once
            before = processor_seconds()
            seconds = await many(lambda: box.exec(["true"]), count, at_once)
            self.note(f"exec, {at_once} at once, ms", provider, statistics.median(seconds) * 1e3)
            self.note(f"CPU per exec, {at_once} at once, ms", provider, used_since(before) / count * 1e3)
        await close()

    async def files(self, provider: str) -> None:
        """Write and read a file back."""
        box, close = await self._open(provider)
        for name, size in (("1 KB", 1 << 10), ("50 MB", 50 << 20)):
            data = os.urandom(size)
            for _ in range(3 if size < 1 << 20 else 1):
                start = time.perf_counter()
                await box.write_file("/tmp/folder/file", data)
                assert await box.read_file("/tmp/folder/file", text=False) == data
                self.note(f"write + read of {name}, ms", provider, (time.perf_counter() - start) * 1e3)
        await close()

    async def lifecycle(self, provider: str) -> None:
        """Start and stop."""
        cls, config = self.providers[provider]

        async def once() -> None:
            environments = await cls.sample_init("bench", config, {})
            await cls.sample_cleanup("bench", config, environments, False)

        for at_once in (1, 4):
            start = time.perf_counter()
            count = at_once * (2 if provider == STOCK else 4)
            seconds = await many(once, count, at_once)
            self.note(f"start + stop, {at_once} at once, ms", provider, statistics.median(seconds) * 1e3)
            self.note(f"attempts per s, {at_once} at once", provider, count / (time.perf_counter() - start))

    async def workload(self, provider: str) -> None:
        """A whole evaluation, in a process whose modules are loaded: attempts of 20 execs, a write and a read."""
        for epochs in (8,) if self.quick else (8, 32):
            config = self.compose if provider == STOCK else ""
            seen = json.loads(await program("inspect_eval.py", "workload", "agent", str(epochs), provider, config))
            assert seen["status"] == "success", seen["problem"]
            self.note(f"{epochs} attempts, wall s", provider, seen["seconds"])

    async def orphans(self, provider: str) -> None:
        """Containers left two seconds after kill -9 of a process with 16 up."""
        if provider == STOCK:
            return
        command = (sys.executable, str(TESTS / "support" / "many_sandboxes.py"), "16")
        async with await anyio.open_process(command, stderr=None) as process:
            assert process.stdout is not None
            said = await process.stdout.receive()
            assert said == b"STARTED\n", said
            process.kill()
            await process.wait()
            await anyio.sleep(2)
            self.note("left 2 s after kill -9 of 16", provider, len(await containers(process.pid)))

    async def soak(self, provider: str) -> None:
        """A thousand attempts, 16 in flight: what has grown."""
        if provider == STOCK:
            return
        cls, config = self.providers[provider]

        async def attempt() -> None:
            environments = await cls.sample_init("bench", config, {})
            await environments["default"].exec(["true"], user="root")
            await environments["default"].write_file("file", "x" * 1000)
            await cls.sample_cleanup("bench", config, environments, False)

        await many(attempt, 100, 16)
        fds, memory = descriptors(), resident()
        await many(attempt, 100 if self.quick else 1000, 16)
        self.note("file descriptors grown in 1,000 attempts", provider, descriptors() - fds)
        self.note("KB grown per attempt", provider, (resident() - memory) / (100 if self.quick else 1000))
        self.note("containers left", provider, len(await containers(os.getpid())))

    async def _open(self, provider: str) -> tuple[SandboxEnvironment, Callable[[], Awaitable[None]]]:
        cls, config = self.providers[provider]
        environments = await cls.sample_init("bench", config, {})
        inner = next(iter(environments.values()))

        async def close() -> None:
            await cls.sample_cleanup("bench", config, environments, False)

        return SandboxEnvironmentProxy(inner), close


async def many(call: Callable[[], Awaitable[Any]], count: int, at_once: int) -> list[float]:
    """Seconds of each of `count` calls, `at_once` in flight."""
    seconds: list[float] = []

    async def work() -> None:
        while len(seconds) + at_once <= count:
            start = time.perf_counter()
            await call()
            seconds.append(time.perf_counter() - start)

    async with anyio.create_task_group() as group:
        for _ in range(at_once):
            group.start_soon(work)
    return seconds


async def program(name: str, *arguments: str) -> str:
    """The last line that a program of `tests/support` prints. Raises `RuntimeError` when it fails or takes too long."""
    command = (sys.executable, str(TESTS / "support" / name), *arguments)
    with anyio.move_on_after(PROGRAM_SECONDS):
        done = await anyio.run_process(command, stderr=None, check=False)
        if done.returncode == 0 and (lines := done.stdout.decode().splitlines()):
            return lines[-1]
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode} and said: {done.stdout.decode()!r}")
    raise RuntimeError(f"{' '.join(command)} did not end in {PROGRAM_SECONDS} s")


async def containers(pid: int) -> list[str]:
    command = ("docker", "ps", "--all", "--quiet", "--filter", f"label=agenteval.pid={pid}")
    return (await anyio.run_process(command)).stdout.decode().split()


def processor_seconds() -> dict[str, float]:
    """Of this process and its children, of each of the daemons' processes, and of each container."""
    own = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = {"own": sum(usage.ru_utime + usage.ru_stime for usage in own)}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name.startswith(("dockerd", "containerd")):
            seconds[str(stat)] = sum(map(int, rest.split()[11:15])) / TICKS
    for name, field, unit in (
        ("cpuacct/docker/*/cpuacct.usage", 0, 1e9),
        ("system.slice/docker-*.scope/cpu.stat", 1, 1e6),
        ("docker/*/cpu.stat", 1, 1e6),
    ):
        for usage in Path("/sys/fs/cgroup").glob(name):
            seconds[str(usage)] = int(usage.read_text().split()[field]) / unit
    return seconds


def used_since(before: dict[str, float]) -> float:
    """The processor time since then of all that is still there."""
    return sum(now - before.get(name, now) for name, now in processor_seconds().items())


def descriptors() -> int:
    """How many file descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    """This process's memory in KB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


async def run(rounds: int, only: list[str], quick: bool) -> None:
    init_concurrency()
    init_max_subprocesses(16)
    with tempfile.TemporaryDirectory() as folder:
        compose = Path(folder) / "compose.yaml"
        compose.write_text(default_compose(DEFAULT_IMAGE))
        bench = Bench(str(compose), quick)
        for cls, config in bench.providers.values():
            await cls.task_init("bench", config)
        try:
            for name in only:
                for number in range(1 if name in ("soak", "orphans") else rounds):
                    for provider in (STOCK, OURS) if number % 2 == 0 else (OURS, STOCK):
                        with named_where_it_fails(f"{name}, provider {provider}, round {number + 1}"):
                            await getattr(bench, name)(provider)
                bench.print_new_rows()
        finally:
            with anyio.CancelScope(shield=True):
                for cls, config in bench.providers.values():
                    await cls.task_cleanup("bench", config, True)


@contextmanager
def named_where_it_fails(what: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        print(f"FAILED in {what}: {error!r}", flush=True)
        raise


def main() -> None:
    names = ("exec", "files", "lifecycle", "workload", "orphans")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--quick", action="store_true", help="smaller workloads")
    options = parser.parse_args()
    only = options.only.split(",")
    if unknown := set(only) - {*names, "soak"}:
        parser.error(f"--only knows {', '.join((*names, 'soak'))}, and not {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is ended from outside cleans up, and says so
    ensure_default_image(print)
    version = ("docker", "version", "--format", "Docker {{.Server.Version}}, {{.Server.Arch}}")
    said = subprocess.run(version, check=True, capture_output=True, text=True).stdout.strip()
    print(f"{said}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f} before")
    print(f"{'median':42s} {STOCK:>10s} {OURS:>10s} {'ratio':>8s}", flush=True)
    anyio.run(run, options.rounds, only, options.quick)
    print("complete", flush=True)


if __name__ == "__main__":
    main()
