"""Sandboxes of the provider `agenteval` for tests, started without an evaluation."""

from __future__ import annotations

import functools
import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.reaper import LABEL
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

__all__ = ["containers", "derived_image", "on", "opened"]


@asynccontextmanager
async def opened(**config: Any) -> AsyncIterator[AgentevalSandbox]:
    """A sandbox of that configuration; removed at the end."""
    wanted = ContainerConfig(**config)
    await AgentevalSandbox.task_init("test", wanted)
    environments = await AgentevalSandbox.sample_init("test", wanted, {})
    try:
        yield environments[wanted.name].as_type(AgentevalSandbox)
    finally:
        await AgentevalSandbox.sample_cleanup("test", wanted, environments, False)


def on(backend: str, test: Callable[..., Awaitable[None]], **arguments: Any) -> None:
    """Run an asynchronous test on `asyncio` or `trio`."""
    anyio.run(functools.partial(test, **arguments), backend=backend)


def containers(pid: int | None = None) -> set[str]:
    """The ids of the sandboxes' containers of a process, this one by default, that the daemon knows."""
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
