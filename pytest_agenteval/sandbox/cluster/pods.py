"""The pod of a sandbox: its configuration, and its description for the cluster, hardened as on Docker."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from pydantic import Field, field_validator

from pytest_agenteval.errors import NotReady
from pytest_agenteval.sandbox.docker.containers import ContainerConfig, parse_bytes

__all__ = ["CONTAINER", "DEADLINE_SECONDS", "NETWORK", "PodConfig", "holder", "inside", "look", "pod", "require_extra"]

CONTAINER = "default"
"""The name of the only container."""
NETWORK = "agenteval.network"
"""The label by which the network policy finds the pods that may have no network."""
DEADLINE_SECONDS = 24 * 3600
"""When the cluster ends a pod whatever happens: a backstop, for a pod ends with the process that holds it."""
_MOUNT_OPTIONS = re.compile(r"rw|size=[^,]+|mode=0?[17]?777")


class PodConfig(ContainerConfig):
    """The configuration of Inspect's sandbox provider `agenteval-k8s`: one pod of a cluster.

    What Kubernetes has no words for is refused: a number of processes other than the default, and options of `tmpfs`
    beside `size`. `runtime` is the name of a runtime class.
    """

    image: str | None = Field(default=None, min_length=1)
    """A name that the nodes can pull. There is no default."""
    context: str | None = None
    """The kubeconfig's context; None is its current one, or the pod that the driver runs in."""
    namespace: str | None = None
    """None is the context's."""
    requests: Mapping[str, str] = Field(default_factory=dict)
    """Resources that the scheduler sets aside, in Kubernetes' words; memory and processors by default as `limits`."""
    limits: Mapping[str, str] = Field(default_factory=dict)
    """Resources that the pod may use beside `memory` and `cpus`, in Kubernetes' words: for example `nvidia.com/gpu`."""
    check_network: bool = True
    """Whether it is refused where `network="none"` is not enforced by the cluster."""

    @field_validator("pids")
    @classmethod
    def _pids(cls, value: int | None) -> int | None:
        if value != cls.model_fields["pids"].default:
            raise ValueError(
                "Kubernetes limits processes by node only (podPidsLimit of the kubelet): leave pids_limit out"
            )
        return value

    @field_validator("tmpfs")
    @classmethod
    def _tmpfs(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for path, options in value.items():
            for option in filter(None, options.split(",")):
                if not _MOUNT_OPTIONS.fullmatch(option):
                    raise ValueError(f"Kubernetes cannot mount {path} in memory with {option!r}: it knows `size` only")
        return value

    def __hash__(self) -> int:
        return hash(self.model_dump_json())


def require_extra(flag: str) -> None:
    """Raise `NotReady` if the extra `k8s` is not installed, which what was asked for by `flag` needs."""
    if importlib.util.find_spec("wsproto") is None:
        raise NotReady(f"{flag} needs wsproto: install it with `pip install 'pytest-agenteval[k8s]'`")


@cache
def inside(name: str) -> str:
    """The source of a module of `exec/inside/`, for a `python3 -c`."""
    return (resources.files("pytest_agenteval.sandbox.exec.inside") / f"{name}.py").read_text("utf-8")


def holder(python: str = "python3") -> list[str]:
    """The command of a sandbox's first process."""
    return [python, "-I", "-S", "-c", inside("holder")]


def look(patience: float, python: str = "python3") -> list[str]:
    """The command that tells what an image is like and, unless `patience` is negative, whom its network reaches.

    A network policy may take so many seconds to be enforced.
    """
    return [python, "-I", "-S", "-c", inside("look"), f"{patience:g}"]


def pod(
    config: PodConfig,
    name: str,
    command: Sequence[str],
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    *,
    owner: Mapping[str, str] | None = None,
    avoid: Sequence[str] = (),
    user: int | None = 0,
    stdin: bool = True,
) -> dict[str, Any]:
    """The body of the call that creates a pod.

    It lives as long as the client that attached first holds its stdin open. A container that restarted would be another
    attempt that nobody counts, so none does.

    Args:
        config: what the sandbox is to be like.
        name: the pod's name.
        command: its first process.
        labels: for those who look for it.
        annotations: for those who look at it.
        owner: the object whose end is the pod's end.
        avoid: the host names of nodes that it may not run on.
        user: the number of the user of its first process; None is the image's.
        stdin: whether somebody will attach.
    """
    limits, requests = _resources(config)
    volumes, mounts = _memory_volumes(config)
    container = {
        "name": CONTAINER,
        "image": config.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "stdin": stdin,
        "stdinOnce": stdin,
        "env": [{"name": key, "value": value} for key, value in config.env.items()],
        "resources": {"limits": limits, "requests": requests},
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": config.new_privileges,
            "readOnlyRootFilesystem": config.read_only,
            "capabilities": {"drop": ["ALL"], "add": list(config.capabilities) if user == 0 else []},
            **({} if user is None else {"runAsUser": user, "runAsNonRoot": user != 0}),
            **({"runAsGroup": 0} if user == 0 else {}),
        },
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "dnsPolicy": "Default",
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": volumes,
        "containers": [container],
        # else the pods of a dead node hang for five minutes
        "tolerations": [
            {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}
            for key in ("not-ready", "unreachable")
        ],
    }
    if config.runtime is not None:
        spec["runtimeClassName"] = config.runtime
    if config.hostname is not None:
        spec["hostname"] = config.hostname
    if avoid:
        away = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": sorted(avoid)}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [away]}]}
        spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {**labels, NETWORK: config.network},
        "annotations": dict(annotations),
    }
    if owner is not None:
        metadata["ownerReferences"] = [dict(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _resources(config: PodConfig) -> tuple[dict[str, str], dict[str, str]]:
    limits: dict[str, str] = {}
    if config.memory is not None:
        limits["memory"] = str(config.memory)
    if config.cpus is not None:
        limits["cpu"] = f"{round(config.cpus * 1000)}m"
    limits |= config.limits
    return limits, {key: limits[key] for key in ("memory", "cpu") if key in limits} | dict(config.requests)


def _memory_volumes(config: PodConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    sizes: dict[str, int | None] = {}
    for path, options in config.tmpfs.items():
        size = re.search(r"size=([^,]+)", options)
        sizes[path] = parse_bytes(size[1]) if size else None
    if config.shm_size is not None:
        sizes["/dev/shm"] = config.shm_size
    volumes, mounts = [], []
    for number, (path, limit) in enumerate(sizes.items()):
        kept = {} if limit is None else {"sizeLimit": str(limit)}
        volumes.append({"name": f"memory-{number}", "emptyDir": {"medium": "Memory", **kept}})
        mounts.append({"name": f"memory-{number}", "mountPath": path})
    return volumes, mounts
