"""Other wordings of prompts, by a model: what `pytest-agenteval variants make` asks for, and what it is given."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

from inspect_ai.log import list_eval_logs, read_eval_log
from inspect_ai.model import GenerateConfig, Model

from pytest_agenteval.engine.models.models import open_model

__all__ = ["ask_for_wordings", "prompts_in"]

_ASK = """\
Rewrite the task below in {n} different wordings for an AI agent. Each must ask for exactly the same, no more, no less.
Keep every number, path, file name, identifier, code span and quoted text character by character. Vary style and order:
formal, brief, chatty, step by step. Do not solve the task.

Answer with a JSON array of {n} strings and nothing else.

The task, between the lines:
{fence}
{prompt}
{fence}
"""


def prompts_in(log_dir: Path) -> Mapping[str, str]:
    """What each task of a run asked its agent first, by node id, from the run's logs."""
    found: dict[str, str] = {}
    for info in list_eval_logs(str(log_dir)):
        for sample in read_eval_log(info).samples or ():
            first = next((message.text for message in sample.messages if message.role == "user"), None)
            if first is not None:
                found[str(sample.id)] = first
    return found


def ask_for_wordings(name: str, prompts: Mapping[str, str], n: int) -> Mapping[str, list[str] | None]:
    """By task, the wordings that a model gives; None where its answer cannot be read. Raises `NotReady`."""
    model = open_model(name)

    async def ask() -> list[list[str] | None]:
        return await asyncio.gather(*(_asked(model, prompt, n) for prompt in prompts.values()))

    return dict(zip(prompts, asyncio.run(ask()), strict=True))


async def _asked(model: Model, prompt: str, n: int) -> list[str] | None:
    fence = "=" * (3 + max((len(found) for found in re.findall("=+", prompt)), default=0))
    said = await model.generate(_ASK.format(n=n, fence=fence, prompt=prompt), config=GenerateConfig(max_tokens=8_000))
    found = re.search(r"\[.*\]", said.completion, re.DOTALL)
    try:
        texts = json.loads(found[0]) if found is not None else None
    except ValueError:
        return None
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else None
