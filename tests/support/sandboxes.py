"""Sandboxes of our providers for tests, started without an evaluation: in Docker, or in the cluster that is given."""

from __future__ import annotations

import functools
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.docker.containers import ContainerConfig, Image
from pytest_agenteval.sandbox.docker.reaper import LABEL
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image
from support.clusters import IMAGE, KUBECONFIG, cluster

__all__ = ["containers", "derived_image", "on", "opened", "prepare", "provided_by", "sandbox_config"]


_kind = "docker"
_looked_at: dict[str | None, Image] = {}


@contextmanager
def provided_by(kind: str) -> Iterator[None]:
    """Let `opened` start sandboxes in `docker`, or in the cluster (`k8s`)."""
    global _kind
    before, _kind = _kind, kind
    with pytest.MonkeyPatch.context() as patch:
        if kind == "k8s":
            patch.setenv("KUBECONFIG", KUBECONFIG)
        try:
            yield
        finally:
            _kind = before


def sandbox_config(**config: Any) -> tuple[type[AgentevalSandbox], ContainerConfig]:
    """The provider, and its configuration. The cluster enforces no policies, and its node is small."""
    if _kind == "docker":
        return AgentevalSandbox, ContainerConfig(**config)
    from pytest_agenteval.engine.sandboxes.kubernetes import KubernetesSandbox

    return KubernetesSandbox, PodConfig(
        **({"image": IMAGE, "check_network": False, "requests": {"memory": "64Mi", "cpu": "10m"}} | config)
    )


async def prepare(provider: type[AgentevalSandbox], wanted: ContainerConfig) -> None:
    """What the provider does before its first sandbox. In a cluster each image is looked at once by all tests."""
    if not isinstance(wanted, PodConfig):
        await provider.task_init("test", wanted)
        return
    from pytest_agenteval.sandbox.cluster.session import ClusterSession

    session = await ClusterSession.current(wanted)
    if (image := _looked_at.get(wanted.image)) is not None:
        session._images[str(wanted.image), wanted.runtime] = image
    else:
        await provider.task_init("test", wanted)
        _looked_at[wanted.image] = await session.image(wanted)
        await provider.task_cleanup("test", wanted, True)


@asynccontextmanager
async def opened(**config: Any) -> AsyncIterator[AgentevalSandbox]:
    """A sandbox of that configuration; removed at the end."""
    provider, wanted = sandbox_config(**config)
    await prepare(provider, wanted)
    environments = await provider.sample_init("test", wanted, {})
    try:
        yield environments[wanted.name].as_type(AgentevalSandbox)
    finally:
        await provider.sample_cleanup("test", wanted, environments, False)


def on(backend: str, test: Callable[..., Awaitable[None]], **arguments: Any) -> None:
    """Run an asynchronous test on `asyncio` or `trio`."""
    anyio.run(functools.partial(test, **arguments), backend=backend)


def containers(pid: int | None = None) -> set[str]:
    """The ids of the sandboxes' containers, or pods, of a process, this one by default, that there are."""
    if _kind == "k8s":
        with cluster() as there:
            return {pod["metadata"]["name"] for pod in there.pods(pid or os.getpid())}
    labels = ("--filter", f"label={LABEL}=1", "--filter", f"label=agenteval.pid={pid or os.getpid()}")
    command = ("docker", "ps", "--all", "--quiet", "--no-trunc", *labels)
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


@contextmanager
def derived_image(script: str, *changes: str) -> Iterator[str]:
    """The default image after a script that root ran in it, under a name of its own; removed at the end.

    `changes` are instructions of a Dockerfile.
    """
    ensure_default_image(print)
    name = f"agenteval-test-{uuid.uuid4().hex[:8]}"
    run = ("docker", "run", "--name", name, "--user", "root", "--network", "none", DEFAULT_IMAGE)
    options = [word for change in ("USER agent", 'CMD ["bash"]', *changes) for word in ("--change", change)]
    try:
        subprocess.run((*run, "sh", "-ec", script), check=True, capture_output=True)
        commit = ("docker", "commit", *options, name, f"agenteval-test/{name}")
        image = subprocess.run(commit, check=True, capture_output=True, text=True).stdout.strip()
    finally:
        subprocess.run(("docker", "rm", "--force", name), check=True, capture_output=True)
    try:
        yield f"agenteval-test/{name}"
    finally:
        subprocess.run(("docker", "rmi", "--force", image), check=True, capture_output=True)
