"""The scaffold of this suite: the agent is a program in the task's image."""

from pytest_agenteval import SandboxAgent

shell = SandboxAgent(command=["shell-agent", "--model", "{model}", "{task}"])


def short(turns: int = 8) -> SandboxAgent:
    """The same with fewer turns: --agent-scaffold=cli_agents:short --agent-scaffold-arg=turns=5."""
    return SandboxAgent(command=["shell-agent", "--model", "{model}", "--max-turns", str(turns), "{task}"])
