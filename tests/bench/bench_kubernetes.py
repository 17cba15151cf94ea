"""A command in a pod three ways, side by side, and attempts a second on the nodes that there are.

Run: `python tests/bench/bench_kubernetes.py [--rounds 5] [--peer PYTHON] [--attempts 48]`.
AGENTEVAL_TEST_KUBECONFIG names the cluster. `ours` goes through the exec server; `websocket` is an exec of the cluster
for each command, on our own client; with `--peer`, the interpreter of a virtual environment that has
`inspect-k8s-sandbox`, `inspect-k8s` is that package's way.
Processor time is this process's (or the peer's) and, with `K8S_HOME` of `k8s-up`, that of the cluster's own programs.
Exit status 1 where ours is not 20 times as fast as a websocket exec, or costs more than a tenth of its processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.clusters import cluster
from support.sandboxes import opened, provided_by

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.cluster.session import ClusterSession

HOME = Path(os.environ.get("K8S_HOME", "/var/lib/agenteval-k8s"))
TICKS = os.sysconf("SC_CLK_TCK")
LEAST_WALL, LEAST_CPU = 20, 10
PEER = """
import asyncio, json, sys, time
from k8s_sandbox._pod.execute import ExecuteOperation
from k8s_sandbox._pod.executor import PodOpExecutor
from k8s_sandbox._pod.op import PodInfo

name, uid, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
info = PodInfo(name, "default", None, "default", uid, 0, "warn")
pool = PodOpExecutor.get_instance(16)._executor

async def main():
    loop, seconds = asyncio.get_running_loop(), []
    run = lambda: ExecuteOperation(info).exec(["true"], None, None, {}, None, 60)
    await loop.run_in_executor(pool, run)
    processor = time.process_time()
    for _ in range(count):
        begun = time.perf_counter()
        assert (await loop.run_in_executor(pool, run)).success
        seconds.append(time.perf_counter() - begun)
    print(json.dumps([seconds, (time.process_time() - processor) / count]))

asyncio.run(main())
"""


def of_the_cluster() -> float:
    """Seconds of processor time that the cluster's programs have used; 0 where that cannot be read."""
    total = 0
    for name in ("apiserver", "kubelet", "containerd", "etcd"):
        try:
            pid = int((HOME / f"state/{name}.pid").read_text())
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, ValueError):
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


class Ways:
    """The measures by way: seconds a command, and processor seconds a command of the client and of the cluster."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = defaultdict(list)
        self.client: dict[str, list[float]] = defaultdict(list)
        self.server: dict[str, list[float]] = defaultdict(list)

    async def measure(self, way: str, count: int, run: Callable[[], Awaitable[None]]) -> None:
        client, server = time.process_time(), of_the_cluster()
        for _ in range(count):
            begun = time.perf_counter()
            await run()
            self.wall[way].append(time.perf_counter() - begun)
        self.client[way].append((time.process_time() - client) / count)
        self.server[way].append((of_the_cluster() - server) / count)

    def peer(self, python: str, pod: str, uid: str, count: int) -> None:
        server = of_the_cluster()
        done = subprocess.run([python, "-c", PEER, pod, uid, str(count)], check=True, capture_output=True, text=True)
        seconds, client = json.loads(done.stdout.splitlines()[-1])
        self.wall["inspect-k8s"] += seconds
        self.client["inspect-k8s"].append(client)
        self.server["inspect-k8s"].append((of_the_cluster() - server) / count)

    def tell(self) -> bool:
        """Print the medians; returns whether ours is as much better as it must be."""
        found = {}
        for way, seconds in self.wall.items():
            wall, client = statistics.median(seconds), statistics.median(self.client[way])
            found[way] = wall, client + statistics.median(self.server[way])
            print(
                f"{way:12s} {1000 * wall:8.2f} ms (min {1000 * min(seconds):.2f}) | processor: client "
                f"{1000 * client:.2f} ms, cluster {1000 * statistics.median(self.server[way]):.2f} ms"
            )
        good = True
        for way in found.keys() - {"ours"}:
            wall, processor = (found[way][kind] / found["ours"][kind] for kind in (0, 1))
            print(f"{way} / ours: wall {wall:.0f}x, processor {processor:.0f}x")
            good &= wall >= LEAST_WALL and processor >= LEAST_CPU
        return good


async def commands(rounds: int, peer: str | None) -> bool:
    ways = Ways()
    async with opened() as sandbox:
        session = await ClusterSession.current(PodConfig())
        name = sandbox.container.name
        path = f"/api/v1/namespaces/{session.api.login.namespace}/pods/{name}"
        uid = str((await session.api.get(path))["metadata"]["uid"])
        asked = [("container", "default"), ("stdout", "true"), ("stderr", "true"), ("command", "true")]

        async def ours() -> None:
            assert (await sandbox.exec(["true"])).success

        async def websocket() -> None:
            stream = await session.api.stream(f"{path}/exec", asked)
            while await stream.receive():
                pass
            await stream.close()

        for _ in range(rounds):
            await ways.measure("ours", 100, ours)
            await ways.measure("websocket", 10, websocket)
            if peer is not None:
                await anyio.to_thread.run_sync(ways.peer, peer, name, uid, 10)
    return ways.tell()


async def attempts(count: int) -> None:
    """Pods that are started, used by a few commands and removed, 16 in flight."""
    places = anyio.CapacityLimiter(16)

    async def one() -> None:
        async with places, opened() as sandbox:
            await work(sandbox)

    async def work(sandbox: AgentevalSandbox) -> None:
        for number in range(10):
            await sandbox.write_file("file", str(number))
            assert (await sandbox.exec(["cat", "file"])).stdout == str(number)

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
    seconds = time.perf_counter() - begun
    with cluster() as there:
        nodes = len(there.call("GET", "/api/v1/nodes")["items"])
    print(f"{count} attempts, 16 in flight, {nodes} node{'s' * (nodes != 1)}: {count / seconds:.2f} a second")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", metavar="PYTHON")
    parser.add_argument("--attempts", type=int, default=48)
    asked = parser.parse_args()
    with provided_by("k8s"):
        good = anyio.run(commands, asked.rounds, asked.peer)
        if asked.attempts:
            anyio.run(attempts, asked.attempts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
