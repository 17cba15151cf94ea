"""What test authors name from below the engine; the package itself hands it out."""

from inspect_ai.util import SandboxEnvironment as Sandbox

from pytest_agenteval.engine.agent import Agent, AgentResult

__all__ = ["Agent", "AgentResult", "Sandbox"]
