"""What the cluster is asked before anything is spent: rights, room, and whether it keeps the network from a pod."""

from __future__ import annotations

import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from support.clusters import IMAGE, KUBECONFIG, Cluster
from support.sandboxes import on

from pytest_agenteval.engine.sandboxes.kubernetes import KubernetesSandbox
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.cluster.rights import RIGHTS
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError

SMALL: dict[str, Any] = {"image": IMAGE, "memory": "64m", "requests": {"memory": "32Mi", "cpu": "10m"}}


async def prepared(config: PodConfig) -> None:
    await KubernetesSandbox.task_init("test", config)
    await KubernetesSandbox.task_cleanup("test", config, True)


@pytest.fixture
def namespace(there: Cluster) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"agenteval-test-{uuid.uuid4().hex[:8]}"
    there.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    there.call("DELETE", f"/api/v1/namespaces/{name}")


def test_a_right_that_is_missing_is_named(
    there: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = []
    for resource, verbs in RIGHTS.items():
        kind, _, group = resource.partition(".")
        granted = [verb for verb in verbs if (resource, verb) not in (("pods/exec", "create"), ("pods", "watch"))]
        rules.append({"apiGroups": [group], "resources": [kind], "verbs": granted})
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    there.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "driver"}})
    there.call("POST", f"{rbac}/roles", {"metadata": {"name": "driver"}, "rules": rules})
    binding = {
        "metadata": {"name": "driver"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "driver"},
        "subjects": [{"kind": "ServiceAccount", "name": "driver", "namespace": namespace}],
    }
    there.call("POST", f"{rbac}/rolebindings", binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/driver/token"
    token = there.call("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    content = yaml.safe_load(Path(KUBECONFIG).read_text("utf-8"))
    content["users"] = [{"name": content["users"][0]["name"], "user": {"token": token["status"]["token"]}}]
    (tmp_path / "config").write_text(yaml.safe_dump(content), "utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(SandboxSetupError, match=r"lacks rights .*: watch pods, create pods/exec\. Grant them"):
        on("asyncio", prepared, config=PodConfig(namespace=namespace, **SMALL))


def test_a_quota_that_is_used_up_is_waited_for(there: Cluster, namespace: str) -> None:
    config = PodConfig(namespace=namespace, check_network=False, **SMALL)
    waits: list[float] = []

    async def run() -> None:
        await KubernetesSandbox.task_init("test", config)
        there.call("POST", f"/api/v1/namespaces/{namespace}/resourcequotas", QUOTA)

        async def attempt() -> None:
            opened = await KubernetesSandbox.sample_init("test", config, {})
            box = opened["default"].as_type(KubernetesSandbox)
            assert (await box.exec(["sleep", "2"])).success
            waits.append(box.waited)
            await KubernetesSandbox.sample_cleanup("test", config, opened, False)

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(attempt)
        await KubernetesSandbox.task_cleanup("test", config, True)

    on("asyncio", run)
    assert len(waits) == 2
    assert max(waits) >= 2


QUOTA = {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}


@contextmanager
def answering(there: Cluster) -> Iterator[dict[str, str]]:
    """Somebody whom the pods reach by their node, in the API server's place."""
    code = (
        "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True)\nwhile 1: s.accept()"
    )
    with subprocess.Popen(["python3", "-c", code], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            [node] = there.call("GET", "/api/v1/nodes")["items"][:1]
            routes = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=False).stdout
            gateway = "10.199.0.1" if "10.199.0.1" in routes else node["status"]["addresses"][0]["address"]
            yield {"KUBERNETES_SERVICE_HOST": gateway, "KUBERNETES_SERVICE_PORT": port}
        finally:
            server.kill()


def test_a_cluster_that_does_not_keep_the_network_from_pods_is_refused(there: Cluster) -> None:
    with answering(there) as env, pytest.raises(SandboxSetupError, match=r"not enforce .* reached the API server\."):
        on("asyncio", prepared, config=PodConfig(env=env, **SMALL))
    assert not there.pods()


def test_a_cluster_that_does_not_show_it_is_refused(there: Cluster) -> None:
    with pytest.raises(SandboxSetupError, match=r"does not (show whether it enforces|enforce) network"):
        on("asyncio", prepared, config=PodConfig(env={"KUBERNETES_SERVICE_HOST": "240.0.0.1"}, **SMALL))


def test_a_cluster_that_keeps_the_network_from_pods_is_believed(there: Cluster) -> None:
    """The policy is enforced by hand: what comes from a pod that it selects is dropped."""
    if subprocess.run(["iptables", "-S", "INPUT"], capture_output=True, check=False).returncode:
        pytest.skip("iptables cannot be used here")
    dropped: set[str] = set()
    done = threading.Event()

    def enforce() -> None:
        while not done.wait(0.1):
            for pod in there.pods(label="agenteval.network=none"):
                address = (pod.get("status") or {}).get("podIP")
                if address and address not in dropped:
                    dropped.add(address)
                    subprocess.run(["iptables", "-I", "INPUT", "-s", address, "-j", "DROP"], check=True)

    thread = threading.Thread(target=enforce)
    thread.start()
    try:
        with answering(there) as env:
            on("asyncio", prepared, config=PodConfig(env=env, **SMALL))
    finally:
        done.set()
        thread.join()
        for address in dropped:
            subprocess.run(["iptables", "-D", "INPUT", "-s", address, "-j", "DROP"], check=True)
    assert dropped
