"""A pod as a sandbox: what it may do, what is left of it, what is refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from support.clusters import IMAGE, Cluster, load
from support.sandboxes import containers, derived_image, on, opened

from pytest_agenteval.cli.main import main
from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.cluster.session import ClusterSession
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError


def with_sandbox(check: Callable[[AgentevalSandbox], Awaitable[None]], **config: Any) -> None:
    async def run() -> None:
        async with opened(**config) as sandbox:
            await check(sandbox)

    on("asyncio", run)


def test_a_pod_is_hardened() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        for user in ("agent", "root"):
            status = (await sandbox.exec(["cat", "/proc/self/status"], user=user)).stdout
            assert "NoNewPrivs:\t1" in status
            assert "Seccomp:\t2" in status
        capabilities = int(status.partition("CapBnd:")[2].split()[0], 16)
        raw_sockets, devices, administration, tracing = 13, 27, 21, 19
        assert not any(capabilities >> number & 1 for number in (raw_sockets, devices, administration, tracing))
        assert not (await sandbox.exec(["ls", "/var/run/secrets"], user="root")).success  # no service account
        assert (await sandbox.exec(["awk", "/CapEff/ {print $2 + 0}", "/proc/self/status"])).stdout.strip() == "0"

    with_sandbox(check)


def test_a_pod_is_relaxed_by_name() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert (await sandbox.exec(["hostname"])).stdout == "box\n"
        assert (await sandbox.exec(["id", "-u"])).stdout == "0\n"
        assert " /dev/shm tmpfs rw" in (await sandbox.exec(["cat", "/proc/mounts"])).stdout
        assert not (await sandbox.exec(["touch", "/root/x"])).success
        assert (await sandbox.exec(["pwd"])).stdout == "/scratch\n"
        assert (await sandbox.exec(["touch", "x"])).success
        quota = await sandbox.exec(["sh", "-c", "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max"])
        assert "50000" in quota.stdout

    with_sandbox(
        check, user="root", cpus=0.5, hostname="box", shm_size="128m", read_only=True,
        tmpfs={"/scratch": "rw,size=1m"}, working_dir="/scratch", new_privileges=True,
    )  # fmt: skip


def test_what_kubernetes_has_no_words_for_is_refused() -> None:
    with pytest.raises(ValueError, match="podPidsLimit"):
        PodConfig(image=IMAGE, pids=50)
    with pytest.raises(ValueError, match="noexec"):
        PodConfig(image=IMAGE, tmpfs={"/x": "noexec"})


def test_eight_megabytes_of_output_are_not_in_the_log_of_the_node(there: Cluster) -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        assert len((await sandbox.exec(["head", "-c", "8000000", "/dev/zero"])).stdout) == 8_000_000
        path = f"/api/v1/namespaces/default/pods/{sandbox.container.name}/log"
        log = there._client.get(path)
        assert log.status_code == 200
        assert len(log.content) < 1000

    with_sandbox(check)


def test_the_first_process_buries_what_nobody_waits_for() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        await sandbox.exec(["sh", "-c", "for i in 1 2 3; do setsid sh -c 'sleep 0.1 & sleep 0.1 &' & done; sleep 0.5"])
        states = (await sandbox.exec(["ps", "-eo", "stat="])).stdout.split()
        assert not [state for state in states if state.startswith("Z")]

    with_sandbox(check)


def test_a_kept_pod_lives_on_until_it_is_cleaned_up(there: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    names: list[str] = []

    async def check(sandbox: AgentevalSandbox) -> None:
        command = await sandbox.container.keep()
        assert "kubectl --context" in command
        names.append(sandbox.container.name)

    with_sandbox(check)
    time.sleep(2)  # in which it would end with its connection
    pod = there.call("GET", f"/api/v1/namespaces/default/pods/{names[0]}")
    assert (pod["status"]["phase"], pod["metadata"].get("ownerReferences")) == ("Running", None)
    assert main(["cleanup", "--k8s"]) == 0
    assert names[0] in {pod["metadata"]["name"] for pod in there.pods()}
    assert main(["cleanup", "--k8s", "--kept"]) == 0
    assert "1 sandbox removed" in capsys.readouterr().out
    assert names[0] not in {pod["metadata"]["name"] for pod in there.pods()}


def test_an_image_that_cannot_be_pulled_or_has_no_python_is_refused_before_anything_is_spent() -> None:
    async def missing() -> None:
        async with opened(image="127.0.0.1:9/no/such:1"):
            pass

    with pytest.raises(SandboxSetupError, match=r"127.0.0.1:9/no/such:1 .*(ErrImagePull|ImagePullBackOff)"):
        on("asyncio", missing)

    async def bare(image: str) -> None:
        async with opened(image=image):
            pass

    with derived_image("rm -rf /usr/bin/python3*") as image:
        load(image)
        with pytest.raises(SandboxSetupError, match=r"no python3 of 3\.8 or later"):
            on("asyncio", bare, image=f"docker.io/{image}:latest")
    assert not containers()


def test_an_exec_is_twenty_times_as_fast_as_a_websocket_for_each_command() -> None:
    async def check(sandbox: AgentevalSandbox) -> None:
        session = await ClusterSession.current(PodConfig())
        path = f"/api/v1/namespaces/default/pods/{sandbox.container.name}/exec"
        asked = [("container", "default"), ("stdout", "true"), ("stderr", "true"), ("command", "true")]
        ours: list[tuple[float, float]] = []
        theirs: list[tuple[float, float]] = []
        for _ in range(12):
            for _ in range(5):
                begun = time.perf_counter(), time.process_time()
                assert (await sandbox.exec(["true"])).success
                ours.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
            begun = time.perf_counter(), time.process_time()
            stream = await session.api.stream(path, asked)
            while await stream.receive():
                pass
            await stream.close()
            theirs.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
        wall, cpu = (
            sorted(each[kind] for each in theirs)[6] / sorted(each[kind] for each in ours)[30] for kind in (0, 1)
        )
        assert wall >= 20, (wall, cpu)

    with_sandbox(check)


def test_many_at_once_on_either_event_loop() -> None:
    async def run() -> None:
        async def one() -> None:
            async with opened() as sandbox:
                assert (await sandbox.exec(["echo", "here"])).stdout == "here\n"

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(one)

    on("trio", run)
    on("asyncio", run)
    assert not containers()
