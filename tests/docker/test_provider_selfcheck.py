"""Inspect's own conformance suite for sandbox providers, as the image's user and as root.

Inspect's provider `docker` gives the same result in containers of the same image: all pass, but as root two do not
apply, for root may write whatever the file's mode says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from inspect_ai.util import SandboxEnvironment
from inspect_ai.util._sandbox.self_check import *  # noqa: F403

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox
from pytest_agenteval.sandbox.docker.containers import ContainerConfig

pytestmark = pytest.mark.anyio

ROOT_IGNORES_MODES = {"test_write_text_file_without_permissions", "test_write_binary_file_without_permissions"}
ADDUSER = r"""
printf '#!/bin/sh\nfor name; do :; done\nexec /usr/sbin/useradd --create-home "$name"\n' > /usr/bin/adduser
chmod 755 /usr/bin/adduser
"""
"""The suite calls Debian's `adduser`, which the image does not have."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["agent", "root"])
async def shared(anyio_backend: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, SandboxEnvironment]]:
    config = ContainerConfig(user=request.param)
    await AgentevalSandbox.task_init("self_check", config)
    environments = await AgentevalSandbox.sample_init("self_check", config, {})
    assert (await environments["default"].exec(["sh", "-ec", ADDUSER], user="root")).success
    yield request.param, environments["default"]
    await AgentevalSandbox.sample_cleanup("self_check", config, environments, False)
    await AgentevalSandbox.task_cleanup("self_check", config, True)


@pytest.fixture
def sandbox_env(request: pytest.FixtureRequest, shared: tuple[str, SandboxEnvironment]) -> SandboxEnvironment:
    user, environment = shared
    if user == "root" and request.node.originalname in ROOT_IGNORES_MODES:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason="root may write any file"))
    return environment
