"""What the cluster says of a pod, and what follows from it: whether it has room, whether it runs, who ended it. Pure.

An agent has no rights in the cluster and cannot end its pod's first process by a command. So what the cluster or its
nodes have done with a pod is never the agent's doing, except where the pod had used up what it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.sandbox.death import Death, EndedBy

__all__ = ["PodState", "cause_of_death"]

_OWN_LIMIT = ("exceeds the limit", "exceeds the total limit", "exceeded its local ephemeral storage limit")
"""The kubelet's words for a pod that was evicted for what it used itself (pkg/kubelet/eviction)."""
_HOPELESS = (
    "ErrImageNeverPull", "InvalidImageName", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError",
)  # fmt: skip
"""Reasons for which a container waits that go away by themselves at most where a registry was away for a moment."""
_SIGKILL = 137
_BY_THE_NODE = ("ContainerStatusUnknown", "NodeLost", "Terminated", "Shutdown", "NodeShutdown", "Preempting", "Evicted")


@dataclass(frozen=True, slots=True)
class PodState:
    """A pod, as the API server last described it."""

    name: str
    deleted: bool = False
    """Whether it is gone."""
    deleting: bool = False
    """Whether somebody has ordered its end."""
    node: str | None = None
    """The node that it was given; None while there is no room for it."""
    no_room: str = ""
    """Why the scheduler finds no node."""
    taken_on: bool = False
    """Whether its node has begun with it."""
    running: bool = False
    waiting: str = ""
    """Why its container does not run yet."""
    reason: str = ""
    """Why it failed as a whole: `Evicted`, `DeadlineExceeded`, ..."""
    message: str = ""
    exit_code: int | None = None
    """Of its first process, if that has ended."""
    ended_as: str = ""
    """The runtime's word for that end: `OOMKilled`, `Error`, `Completed`, `StartError`, ..."""
    last_message: str = ""
    """What its first process left as its last message, or why it could not be started."""
    image: str = ""
    """The image that it runs, as the node names it: with its digest."""
    address: str = ""

    @classmethod
    def of(cls, found: Mapping[str, Any], *, deleted: bool = False) -> PodState:
        """From the API's own object."""
        metadata, status = found["metadata"], found.get("status") or {}
        container: Mapping[str, Any] = next(iter(status.get("containerStatuses") or ()), {})
        state = container.get("state") or {}
        ended, waiting = state.get("terminated") or {}, state.get("waiting") or {}
        conditions = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "False"}
        refused = conditions.get("PodScheduled") or {}
        return cls(
            name=str(metadata["name"]),
            deleted=deleted,
            deleting=metadata.get("deletionTimestamp") is not None,
            node=(found.get("spec") or {}).get("nodeName"),
            no_room=str(refused.get("message") or refused.get("reason") or ""),
            taken_on=status.get("startTime") is not None,
            running="running" in state,
            waiting=" ".join(filter(None, (waiting.get("reason"), waiting.get("message")))),
            reason=str(status.get("reason") or ""),
            message=str(status.get("message") or ""),
            exit_code=ended.get("exitCode"),
            ended_as=str(ended.get("reason") or ""),
            last_message=str(ended.get("message") or ""),
            image=str(container.get("imageID") or ""),
            address=str(status.get("podIP") or ""),
        )

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.deleted or self.deleting or self.exit_code is not None or self.reason != ""

    @property
    def hopeless(self) -> bool:
        """Whether it will not run, however long one waits."""
        return self.over or self.waiting.startswith(_HOPELESS)

    @property
    def why(self) -> str:
        """Why it does not run, in words."""
        if self.deleted or self.deleting:
            return "the pod was deleted or evicted"
        if self.reason:
            return " ".join(filter(None, (self.reason, self.message)))
        if self.exit_code is not None:
            return f"its first process ended with exit status {self.exit_code} ({self.last_message or self.ended_as})"
        return self.waiting or self.no_room or "its node has not begun with it"


def cause_of_death(state: PodState | None) -> Death:
    """Who ended a pod whose connection is broken, by what the cluster says of it; None: it does not answer."""
    if state is None:
        return Death(EndedBy.OUTSIDE, "the cluster does not answer")
    if state.reason == "Evicted" and any(words in state.message for words in _OWN_LIMIT):
        return Death(EndedBy.EXHAUSTED, f"the pod was evicted for what it used itself: {state.message}")
    if state.ended_as == "OOMKilled":
        return Death(EndedBy.EXHAUSTED, "the pod ran out of its memory")
    if state.deleted or state.deleting:
        return Death(EndedBy.OUTSIDE, "the pod was deleted or evicted by somebody else")
    if state.reason:
        return Death(EndedBy.OUTSIDE, f"the cluster ended the pod: {state.why}")
    if state.ended_as in _BY_THE_NODE:
        return Death(EndedBy.OUTSIDE, f"the node lost the pod: {state.ended_as}")
    if state.exit_code == 0:
        return Death(EndedBy.OUTSIDE, "the connection to the pod ended, and the pod with it")
    if state.exit_code == _SIGKILL:
        return Death(EndedBy.UNKNOWN, "the pod's first process was killed from within or by its node, without an order")
    if state.exit_code is not None:
        why = f"a process in the pod ended it, with exit status {state.exit_code}"
        return Death(EndedBy.INSIDE, why, state.exit_code)
    return Death(
        EndedBy.OUTSIDE, f"the connection to the pod broke: the node {state.node}, or what leads there, was lost"
    )
