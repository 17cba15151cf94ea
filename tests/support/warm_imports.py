"""What a run of agent tasks imports of others: loaded once, in the server that forked runs of pytest start from.

Nothing of `pytest_agenteval` is here: pytest wants to see the plugin's import itself.
"""

from __future__ import annotations

import gc
import importlib

MODULES = (
    "inspect_ai", "inspect_ai.agent", "inspect_ai.hooks", "inspect_ai.model", "inspect_ai.scorer", "inspect_ai.solver",
    "inspect_ai.tool", "numpy", "pytest", "rich.live", "yaml",
    # imported by Inspect's bridge, to take over their clients
    "anthropic", "google.genai", "openai",
    # imported by Inspect when an eval starts
    "inspect_ai._eval.task.run", "inspect_ai.agent._acp.server", "inspect_ai.model._openai_responses",
    "anyio._backends._asyncio", "fsspec.implementations.chained", "inspect_ai._control.scoring",
    "inspect_ai.agent._acp.transport_live", "inspect_ai.model._providers.anthropic", "inspect_ai.solver._transcript",
    "rich.markdown",
    # imported when a provider answers
    "jsonschema", "numpy.ma", "numpy.random",
    # imported by pytest, ours and theirs
    "numpy.typing", "pdb", "xml.etree.ElementTree",
)  # fmt: skip

for _name in MODULES:
    importlib.import_module(_name)
importlib.import_module("inspect_ai.model").get_model_info("agenteval/null")  # reads Inspect's table of models
gc.freeze()  # a run's own garbage collections need not look at all this
