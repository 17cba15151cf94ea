"""What Inspect loads through its entry point: all that registers with it by a decorator."""

from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.util import SandboxEnvironment, sandboxenv

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox

__all__ = ["AgentevalSandbox", "agenteval", "agenteval_k8s"]


@modelapi(name="agenteval")
def agenteval() -> type[ModelAPI]:
    """The built-in models; their module loads with the first of them."""
    from pytest_agenteval.engine.models.rehearsal import RehearsalAPI

    return RehearsalAPI


@sandboxenv(name="agenteval-k8s")
def agenteval_k8s() -> type[SandboxEnvironment]:
    """Sandboxes in a cluster; their module, and the extra that it needs, load with the first of them."""
    from pytest_agenteval.engine.sandboxes.kubernetes import KubernetesSandbox

    return KubernetesSandbox
