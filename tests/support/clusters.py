"""The cluster that tests use, where one is given: never the one of the user's own kubeconfig.

`AGENTEVAL_TEST_KUBECONFIG` names its kubeconfig, and `AGENTEVAL_TEST_K8S_LOAD` the command that gives it an image of
the local Docker daemon.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx
import pytest

from pytest_agenteval.sandbox.docker.reaper import LABEL
from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

__all__ = ["IMAGE", "KUBECONFIG", "Cluster", "cluster", "load", "needs_cluster", "persist"]

KUBECONFIG = os.environ.get("AGENTEVAL_TEST_KUBECONFIG", "")
IMAGE = f"docker.io/{DEFAULT_IMAGE}"
"""The default image, which the cluster is given."""
_LOAD = os.environ.get("AGENTEVAL_TEST_K8S_LOAD", "")


def needs_cluster() -> None:
    """Skip where no cluster is given. One that is given and does not answer is a failure."""
    if not KUBECONFIG:
        pytest.skip("no cluster is given (AGENTEVAL_TEST_KUBECONFIG)")
    if _LOAD:
        _give_default_image()


@cache
def _give_default_image() -> None:
    ensure_default_image(print)
    load(DEFAULT_IMAGE)


def load(image: str) -> None:
    """Give the cluster an image of the local daemon."""
    if not _LOAD:
        pytest.skip("the cluster cannot be given images (AGENTEVAL_TEST_K8S_LOAD)")
    persist([*shlex.split(_LOAD), image])


def persist(command: Sequence[str]) -> None:
    """Run a tool that may be run again, and that a busy machine may fail."""
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode == 0:
            return
    raise AssertionError(f"{' '.join(command)}: {done.stderr}")


class Cluster:
    """The cluster as an outsider sees it, synchronously."""

    def __init__(self, namespace: str = "default") -> None:
        from pytest_agenteval.sandbox.cluster.login import log_in

        login = log_in()
        token = {} if login.token is None else {"Authorization": f"Bearer {login.token}"}
        self._client = httpx.Client(base_url=login.server, verify=login.tls, headers=token, trust_env=False, timeout=30)
        self.namespace = namespace

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **params: str) -> dict[str, Any]:
        """A call of the API."""
        answer = self._client.request(method, path, json=body, params=params)
        answer.raise_for_status()
        return dict(answer.json())

    def pods(self, pid: int | None = None, *, label: str = f"{LABEL}=1") -> list[dict[str, Any]]:
        """The pods of sandboxes, of one process if asked."""
        found = self.call("GET", f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=label)["items"]
        return [pod for pod in found if pid is None or pod["metadata"]["annotations"].get("agenteval.pid") == str(pid)]

    def delete(self, pod: str) -> None:
        """Delete a pod as somebody else might."""
        self.call("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{pod}", gracePeriodSeconds="0")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@contextmanager
def cluster(namespace: str = "default") -> Iterator[Cluster]:
    """The cluster, for a block."""
    found = Cluster(namespace)
    try:
        yield found
    finally:
        found.close()
