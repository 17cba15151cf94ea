"""What test authors name from below the engine; the package itself hands it out."""

from inspect_ai.util import SandboxEnvironment as Sandbox

from pytest_agenteval.engine.agent import Agent
from pytest_agenteval.engine.agent_result import AgentResult
from pytest_agenteval.engine.bridged import AgentContext
from pytest_agenteval.engine.recorded import record_tool, recorded_tool
from pytest_agenteval.engine.sandbox_agent import SandboxAgent

__all__ = ["Agent", "AgentContext", "AgentResult", "Sandbox", "SandboxAgent", "record_tool", "recorded_tool"]
