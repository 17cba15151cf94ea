"""What test authors name from below the engine; the package itself hands it out."""

from inspect_ai.util import SandboxEnvironment as Sandbox

from pytest_agenteval.engine.agent import Agent, AgentResult
from pytest_agenteval.engine.bridged import AgentContext
from pytest_agenteval.engine.recorded import record_tool, recorded_tool

__all__ = ["Agent", "AgentContext", "AgentResult", "Sandbox", "record_tool", "recorded_tool"]
