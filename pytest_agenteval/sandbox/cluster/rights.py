"""What a driver may do in its namespace, asked of the cluster before anything is spent."""

from __future__ import annotations

from pytest_agenteval.sandbox.cluster.api import Api
from pytest_agenteval.sandbox.docker.address import SandboxSetupError

__all__ = ["RIGHTS", "require_rights"]

RIGHTS = {
    "pods": ("create", "delete", "get", "list", "patch", "watch"),
    "pods/attach": ("create", "get"),
    "pods/exec": ("create", "get"),
    "leases.coordination.k8s.io": ("create", "delete", "get", "list", "patch"),
    "networkpolicies.networking.k8s.io": ("create",),
}
"""All that a driver needs, by resource. Before Kubernetes 1.35 a websocket is a `get`; since then it is a `create`."""


async def require_rights(api: Api, *, policies: bool) -> None:
    """Raise `SandboxSetupError` with the verbs that are missing; `policies` says whether network policies are needed.

    Raises `EngineError` where the cluster does not say.
    """
    missing = []
    for resource, verbs in RIGHTS.items():
        if resource.startswith("networkpolicies") and not policies:
            continue
        kind, _, group = resource.partition(".")
        kind, _, part = kind.partition("/")
        for verb in verbs:
            asked = {
                "namespace": api.login.namespace,
                "verb": verb,
                "resource": kind,
                "group": group,
                "subresource": part,
            }
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            }
            found = await api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
            if not found["status"].get("allowed"):
                missing.append(f"{verb} {resource}")
    if missing:
        raise SandboxSetupError(
            f"The user of the cluster {api.login.where} lacks rights in the namespace {api.login.namespace}: "
            f"{', '.join(missing)}. Grant them by the Role in docs/how-to/kubernetes.md."
        )
