"""What Inspect loads through its entry point: all that registers with it by a decorator."""

from inspect_ai.model import ModelAPI, modelapi

from pytest_agenteval.engine.sandboxes.provider import AgentevalSandbox

__all__ = ["AgentevalSandbox", "agenteval"]


@modelapi(name="agenteval")
def agenteval() -> type[ModelAPI]:
    """The built-in models; their module loads with the first of them."""
    from pytest_agenteval.engine.models.rehearsal import RehearsalAPI

    return RehearsalAPI
