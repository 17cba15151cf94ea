"""What follows from what a cluster says of a pod; the objects are as Kubernetes 1.20 and later write them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_agenteval.sandbox.cluster.states import PodState, cause_of_death
from pytest_agenteval.sandbox.death import EndedBy


def state(deleted: bool = False, **status: Any) -> PodState:
    meta = {"name": "pod"} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if status.pop("deleting", False) else {})
    return PodState.of({"metadata": meta, "spec": {"nodeName": "a"}, "status": status}, deleted=deleted)


def ended(code: int, reason: str) -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"terminated": {"exitCode": code, "reason": reason}}}]}


RUNNING = {"containerStatuses": [{"state": {"running": {}}}]}
EVICTED = (
    "The node was low on resource: ephemeral-storage. Container default was using 9Gi, which exceeds its request of 0."
)
OWN_DISK = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "
FILLED = 'Usage of EmptyDir volume "memory-0" exceeds the limit "1Mi". '


@pytest.mark.parametrize(
    ("found", "by"),
    [
        (None, EndedBy.OUTSIDE),
        (state(deleted=True), EndedBy.OUTSIDE),
        (state(deleting=True, **RUNNING), EndedBy.OUTSIDE),
        (state(reason="Evicted", message=EVICTED), EndedBy.OUTSIDE),
        (state(reason="Evicted", message=OWN_DISK), EndedBy.EXHAUSTED),
        (state(reason="Evicted", message=FILLED), EndedBy.EXHAUSTED),
        (state(reason="DeadlineExceeded", **ended(137, "Error")), EndedBy.OUTSIDE),
        (state(reason="NodeLost"), EndedBy.OUTSIDE),
        (state(**ended(137, "OOMKilled")), EndedBy.EXHAUSTED),
        (state(deleting=True, **ended(137, "OOMKilled")), EndedBy.EXHAUSTED),
        (state(**ended(137, "ContainerStatusUnknown")), EndedBy.OUTSIDE),
        (state(**ended(137, "Error")), EndedBy.UNKNOWN),
        (state(**ended(3, "Error")), EndedBy.INSIDE),
        (state(**ended(0, "Completed")), EndedBy.OUTSIDE),
        (state(**RUNNING), EndedBy.OUTSIDE),
    ],
)
def test_who_ended_a_pod_whose_connection_is_broken(found: PodState | None, by: EndedBy) -> None:
    assert cause_of_death(found).by is by


def test_a_pod_waits_for_room_until_it_has_a_node() -> None:
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    waiting = PodState.of({"metadata": {"name": "pod"}, "spec": {}, "status": {"conditions": [refused]}})
    assert (waiting.node, waiting.no_room, waiting.hopeless) == (None, "0/3 nodes", False)


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "ErrImageNeverPull", "CreateContainerConfigError"])
def test_what_will_never_run_is_not_waited_for(reason: str) -> None:
    found = state(containerStatuses=[{"state": {"waiting": {"reason": reason, "message": "no such image"}}}])
    assert found.hopeless
    assert found.why == f"{reason} no such image"
    pulling = state(containerStatuses=[{"state": {"waiting": {"reason": "ContainerCreating"}}}])
    assert not pulling.hopeless
