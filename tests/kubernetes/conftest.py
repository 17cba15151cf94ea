from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import KUBECONFIG, Cluster, cluster, needs_cluster
from support.sandboxes import provided_by

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need a cluster."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)


@pytest.fixture(autouse=True)
def in_the_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    needs_cluster()
    monkeypatch.setenv("KUBECONFIG", KUBECONFIG)
    with provided_by("k8s"):
        yield


@pytest.fixture
def there(in_the_cluster: None) -> Iterator[Cluster]:
    """The cluster as an outsider sees it."""
    with cluster() as found:
        yield found
