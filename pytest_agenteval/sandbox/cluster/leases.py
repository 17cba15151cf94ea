"""Which pods belong to whom, and the removal of what dead drivers have left.

Each driver has a lease, renewed while it lives, that owns its pods: where the lease goes, the cluster removes the pods.
A pod also ends when its driver's connection does, so what is left of a dead driver holds no resources. It is removed by
the next run: at once if the driver was a process of this machine, else when its lease has expired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.docker.reaper import LABEL, Owner, is_orphan
from pytest_agenteval.sandbox.exec.backend import EngineError

__all__ = ["KEPT", "RENEW_SECONDS", "RUN", "Lease", "delete", "reap", "remove_all", "remove_kept"]

RUN = "agenteval.run"
"""The label with the name of the lease that a pod belongs to."""
KEPT = "agenteval.kept"
"""The label of pods that were kept on purpose; its value is `1`."""
RENEW_SECONDS = 15.0
_LEASE_SECONDS = 60
_OURS = f"{LABEL}=1"


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


class Lease:
    """The lease of this driver."""

    def __init__(self, api: Api, name: str) -> None:
        self.name = name
        self._api = api
        self._uid = ""

    @property
    def owner(self) -> dict[str, str]:
        """What a pod of this driver names as its owner."""
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": self.name, "uid": self._uid}

    async def take(self) -> None:
        """Create it. Raises `EngineError`."""
        metadata = {"name": self.name, "labels": {LABEL: "1", RUN: self.name}, "annotations": Owner.this().labels()}
        spec = {
            "holderIdentity": Owner.this().host,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": _now(self._api),
        }
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        found = await self._api.call("POST", _leases(self._api.login.namespace), body)
        self._uid = str(found["metadata"]["uid"])

    async def renew(self) -> None:
        """Say that this driver is alive. Raises `EngineError`."""
        body = {"spec": {"renewTime": _now(self._api)}}
        await self._api.call("PATCH", f"{_leases(self._api.login.namespace)}/{self.name}", body)

    async def give_up(self) -> None:
        """Remove it, and with it whatever it still owns. Raises `EngineError`."""
        await delete(self._api, f"{_leases(self._api.login.namespace)}/{self.name}")


async def reap(api: Api, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the pods and leases of dead drivers, except pods left on purpose; returns the names of the pods.

    `older_than` is an age in seconds, here and below. Raises `EngineError`, like the others.
    """
    namespace, here = api.login.namespace, Owner.this()
    found = await api.get(_pods(namespace), labelSelector=_OURS)  # before the leases: a driver takes its lease first
    leases = (await api.get(_leases(namespace), labelSelector=_OURS)).get("items") or []
    now = api.clock or datetime.now(UTC).timestamp()
    dead = {
        str(each["metadata"]["name"]): is_orphan(each["metadata"].get("annotations") or {}, here) or _expired(each, now)
        for each in leases
    }

    def left(pod: Mapping[str, Any]) -> bool:
        labels = pod["metadata"].get("labels") or {}
        return KEPT not in labels and dead.get(labels.get(RUN, ""), True)

    removed = await _remove_those(api, found, left, older_than)
    for name in [name for name, gone in dead.items() if gone]:
        await delete(api, f"{_leases(namespace)}/{name}")
    return removed


async def remove_kept(api: Api, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the pods that anyone kept on purpose, and return their names."""
    found = await api.get(_pods(api.login.namespace), labelSelector=f"{_OURS},{KEPT}=1")
    return await _remove_those(api, found, lambda _: True, older_than)


async def remove_all(api: Api, *, older_than: float = 0.0) -> tuple[str, ...]:
    """Remove the pods of all sandboxes of the namespace, also of live drivers, and return their names."""
    found = await api.get(_pods(api.login.namespace), labelSelector=_OURS)
    return await _remove_those(api, found, lambda _: True, older_than)


async def _remove_those(
    api: Api, found: Mapping[str, Any], chosen: Callable[[Mapping[str, Any]], bool], older_than: float
) -> tuple[str, ...]:
    latest = api.clock - older_than if older_than > 0 else math.inf
    removed = []
    for pod in found.get("items") or ():
        name = str(pod["metadata"]["name"])
        if _seconds(pod["metadata"]["creationTimestamp"]) <= latest and chosen(pod):
            await delete(api, f"{_pods(api.login.namespace)}/{name}")
            removed.append(name)
    return tuple(removed)


async def delete(api: Api, path: str) -> None:
    """Remove an object at once; one that is gone is well. Raises `EngineError`."""
    try:
        await api.call("DELETE", path, None, gracePeriodSeconds="0")
    except EngineError as error:
        if error.status != 404:
            raise


def _expired(lease: Mapping[str, Any], now: float) -> bool:
    spec = lease.get("spec") or {}
    return now > _seconds(spec.get("renewTime")) + float(spec.get("leaseDurationSeconds") or _LEASE_SECONDS)


def _seconds(time: str | None) -> float:
    return 0.0 if time is None else datetime.fromisoformat(time).timestamp()


def _now(api: Api) -> str:
    """The time by the API server's clock, at its last answer: clocks of drivers may differ."""
    now = datetime.fromtimestamp(api.clock, UTC) if api.clock else datetime.now(UTC)
    return now.isoformat(timespec="microseconds").replace("+00:00", "Z")
