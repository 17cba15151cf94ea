"""What an image is like and whether the cluster keeps a pod from the network, found out by pods that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.cluster.leases import delete
from pytest_agenteval.sandbox.cluster.pods import NETWORK, PodConfig, look
from pytest_agenteval.sandbox.cluster.room import Room
from pytest_agenteval.sandbox.docker.address import SandboxSetupError
from pytest_agenteval.sandbox.docker.containers import Image
from pytest_agenteval.sandbox.exec.backend import EngineError

__all__ = ["Describe", "forbid_network", "look_at", "root_is_allowed"]

Describe = Callable[..., dict[str, Any]]
"""`pods.pod` with labels, annotations and owner of a driver filled in."""

_PATIENCE = 10.0
"""How long a policy may take to be enforced for a new pod, in seconds."""
_MEMORY = 128 << 20
_FLOOR = (3, 8)


async def forbid_network(api: Api) -> None:
    """Put the policy into the namespace that gives no network to pods that may have none. Raises `EngineError`."""
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "agenteval-no-network"},
        "spec": {"podSelector": {"matchLabels": {NETWORK: "none"}}, "policyTypes": ["Ingress", "Egress"]},
    }
    try:
        path = f"/apis/networking.k8s.io/v1/namespaces/{api.login.namespace}/networkpolicies"
        await api.call("POST", path, body)
    except EngineError as error:
        if error.status != 409:  # it is there
            raise


async def root_is_allowed(api: Api, body: Mapping[str, Any]) -> bool:
    """Whether a pod may start as root in this namespace. Raises `EngineError` where it may not start at all."""
    try:
        await api.call("POST", f"/api/v1/namespaces/{api.login.namespace}/pods", body, dryRun="All")
    except EngineError as error:
        if error.status == 403 and any(word in str(error) for word in ("PodSecurity", "runAsNonRoot", "runAsUser")):
            return False
        if error.status != 403 or "exceeded quota" not in str(error):
            raise
    return True


async def look_at(api: Api, room: Room, config: PodConfig, describe: Describe, *, check_network: bool) -> Image:
    """The image, as a pod of it says. `check_network`: refuse where a pod without a network reaches others.

    A pod that may have a network is the control: where that reaches nobody either, nothing is proved.

    Raises:
        SandboxSetupError: the image has no Python of 3.8 or later, or it is not known that the network is kept from it.
        EngineError: the pod could not be started; the image may be missing.
    """
    small = config.model_copy(update={"memory": _MEMORY, "cpus": None, "limits": {}, "requests": {}})
    if not check_network:
        return (await _told(api, room, small, describe, -1.0)).image
    seen: dict[str, _Told] = {}

    async def ask(network: str, patience: float) -> None:
        one = small.model_copy(update={"network": network})
        seen[network] = await _told(api, room, one, describe, patience)

    await ask("none", _PATIENCE)
    closed, where = seen["none"], f"The cluster {api.login.where}"
    if not closed.reached:
        await ask("bridge", 0.0)
    what = "Use a network plugin that enforces them, ask for network='bridge', or add --agent-allow-host-access to run "
    if closed.reached:
        raise SandboxSetupError(
            f"{where} does not enforce network policies: a pod that may have no network reached "
            f"{' and '.join(closed.reached)}. {what}without isolation."
        )
    if not seen["bridge"].reached:
        raise SandboxSetupError(
            f"{where} does not show whether it enforces network policies: a pod with a network reached nobody, either. "
            f"{what}without knowing."
        )
    return closed.image


@dataclass(frozen=True, slots=True)
class _Told:
    """What a pod said."""

    image: Image
    reached: tuple[str, ...]


async def _told(api: Api, room: Room, config: PodConfig, describe: Describe, patience: float) -> _Told:
    def looking(name: str, avoid: Sequence[str]) -> dict[str, Any]:
        body = describe(config, name, look(patience), avoid=avoid, user=None, stdin=False)
        node = {"name": "AGENTEVAL_NODE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
        body["spec"]["containers"][0]["env"].append(node)
        return body

    try:
        state, _ = await room.start(looking, lambda one: one.exit_code is not None and one.ended_as != "StartError")
    except EngineError as error:
        if "python3" in str(error):
            raise SandboxSetupError(_no_python(config, str(error))) from error
        raise
    with anyio.CancelScope(shield=True), suppress(EngineError):
        await delete(api, f"/api/v1/namespaces/{api.login.namespace}/pods/{state.name}")
    try:
        told = dict(line.split("=", 1) for line in state.last_message.splitlines())
        version = tuple(map(int, told["version"].split(".")))
    except (ValueError, LookupError) as error:
        raise SandboxSetupError(_no_python(config, state.last_message or state.why)) from error
    if version < _FLOOR:
        raise SandboxSetupError(_no_python(config, "it has Python " + ".".join(map(str, version))))
    image = Image(str(config.image), state.image, state.image, told["user"], told["cwd"])
    return _Told(image, tuple(filter(None, told.get("reached", "").split(","))))


def _no_python(config: PodConfig, why: str) -> str:
    said = " ".join(why.split())[:300]
    return f"The image {config.image} has no python3 of 3.8 or later, which a sandbox in a cluster needs ({said})."
