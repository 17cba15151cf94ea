"""Inspect's own conformance suite for sandbox providers, as the image's user and as root.

Inspect's provider `docker` gives the same result in containers of the same image: all pass, but as root two do not
apply, for root may write whatever the file's mode says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from inspect_ai.util import SandboxEnvironment
from inspect_ai.util._sandbox.self_check import *  # noqa: F403
from support.sandboxes import prepare, sandbox_config

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
async def shared(
    anyio_backend: str, provider: str, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[str, SandboxEnvironment]]:
    kind, config = sandbox_config(user=request.param)
    await prepare(kind, config)
    environments = await kind.sample_init("self_check", config, {})
    assert (await environments["default"].exec(["sh", "-ec", ADDUSER], user="root")).success
    yield request.param, environments["default"]
    await kind.sample_cleanup("self_check", config, environments, False)


@pytest.fixture
def sandbox_env(request: pytest.FixtureRequest, shared: tuple[str, SandboxEnvironment]) -> SandboxEnvironment:
    user, environment = shared
    if user == "root" and request.node.originalname in ROOT_IGNORES_MODES:
        request.node.add_marker(pytest.mark.xfail(strict=True, reason="root may write any file"))
    return environment
