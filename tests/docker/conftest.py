from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from support.clusters import needs_cluster
from support.private_daemon import PrivateDaemon
from support.sandboxes import provided_by

from pytest_agenteval.sandbox.exec import channel
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of the contract run in Docker and in a cluster; the differences are in docs/how-to/kubernetes.md."""
    if "provider" in metafunc.fixturenames:
        docker_only = metafunc.definition.get_closest_marker("docker_only") is not None
        kinds = [pytest.param("k8s", marks=pytest.mark.kubernetes)]
        metafunc.parametrize("provider", ["docker", *([] if docker_only else kinds)], indirect=True, scope="session")


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> Iterator[str]:
    """Whose sandboxes the test gets from `support.sandboxes`: `docker` or `k8s`."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "k8s":
            needs_cluster()
            # a server that its own user has stopped is the container's own there: so many tests wait for it
            patch.setattr(channel, "_SILENCE_SECONDS", 3.0)
        with provided_by(request.param):
            yield request.param


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
