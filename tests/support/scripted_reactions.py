"""A conftest with two scripted models: one tries again after what went wrong, one believes what it sees."""

from __future__ import annotations

__all__ = ["REACTIONS", "THREE_FILES"]

REACTIONS = """
from inspect_ai.model import ChatMessageTool, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi

COMMANDS = ["echo one > a.txt && echo ok", "echo two > b.txt && echo ok", "cat a.txt b.txt > c.txt && echo ok"]


@modelapi(name="reaction")
def reaction():
    class Reaction(ModelAPI):
        def __init__(self, model_name, base_url=None, api_key=None, config=GenerateConfig(), **more):
            super().__init__(model_name, base_url, api_key, [], config)

        async def generate(self, input, tools, tool_choice, config):
            seen = [message for message in input if isinstance(message, ChatMessageTool)]
            well = [each.error is None and each.text.strip().endswith("ok") for each in seen]
            done = sum(well) if "again" in self.model_name else len(well)
            tool, arguments = ("submit", {"answer": "done"}) if done >= 3 else ("bash", {"command": COMMANDS[done]})
            output = ModelOutput.for_tool_call(self.model_name, tool, arguments, tool_call_id=f"c{len(seen)}")
            output.usage = ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15)
            return output

    return Reaction
"""

THREE_FILES = """
from pytest_agenteval import agent_task

@agent_task(turn_limit=40)
async def test_files(agent, sandbox):
    await agent.run("write three files")
    done = await sandbox.exec(["cat", "c.txt"])
    assert done.success and done.stdout == "one\\ntwo\\n"
"""
