"""What test authors name from below the engine; the package itself hands it out."""

from inspect_ai.util import SandboxEnvironment as Sandbox

from pytest_agenteval.engine.agents.agent import Agent, AgentResult
from pytest_agenteval.engine.agents.own_code import AgentContext, record_tool, recorded_tool
from pytest_agenteval.engine.agents.program import SandboxAgent

__all__ = ["Agent", "AgentContext", "AgentResult", "Sandbox", "SandboxAgent", "record_tool", "recorded_tool"]
