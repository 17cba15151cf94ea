from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from support.private_daemon import PrivateDaemon

from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image


@pytest.fixture(scope="session")
def loaded_daemon() -> Iterator[PrivateDaemon]:
    """A daemon with the default image, stopped."""
    ensure_default_image(print)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        private = PrivateDaemon(Path(folder))
        private.start()
        try:
            with closing(private.client()) as own, closing(docker.from_env()) as theirs:
                own.images.load(theirs.images.get(DEFAULT_IMAGE).save(named=True))
        finally:
            private.stop()
        yield private


@pytest.fixture
def daemon_of_ours(loaded_daemon: PrivateDaemon) -> Iterator[PrivateDaemon]:
    """A running daemon with the default image, which a test may stop."""
    loaded_daemon.start()
    yield loaded_daemon
    loaded_daemon.stop()
