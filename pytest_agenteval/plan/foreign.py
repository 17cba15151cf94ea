"""Sandboxes of any provider that Inspect has registered: what its tasks may ask for, and what they get.

Nothing is known of such a provider but Inspect's protocol. So options that change a container are refused, and only the
provider says what isolates its sandboxes.
"""

from __future__ import annotations

import atexit
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.inspect_private import registry_find, registry_find_sandboxenv, registry_unqualified_name
from pytest_agenteval.engine.sandboxes.places import SandboxSpec
from pytest_agenteval.errors import NotReady
from pytest_agenteval.sandbox.asked.choice import BuiltInImage, ChoiceError, NamedImage, choose

__all__ = ["foreign_spec", "inspect_provider", "registered"]

_THEIRS = "-inspect"
"""The end of the name of a provider of Inspect whose own name is that of one of our sandboxes."""
_OURS = {"agenteval": "docker", "agenteval-k8s": "k8s", "local": "local"}
"""Providers that are chosen by another name of `--agent-sandbox`, with the checks that belong to it."""


def registered() -> list[str]:
    """The names of the providers that Inspect knows, as `--agent-sandbox` takes them, besides our own."""
    found = registry_find(lambda info: info.type == "sandboxenv")
    names = {registry_unqualified_name(each) for each in found} - set(_OURS)
    return sorted(f"{name}{_THEIRS}" if name in ("docker", "k8s") else name for name in names)


def inspect_provider(name: str) -> str | None:
    """Inspect's name of the provider that `--agent-sandbox` calls so; None if there is none.

    Raises:
        NotReady: it is one of our own, or is known and not installed; the message says what to write or install.
    """
    plain = name.removesuffix(_THEIRS)
    if plain in _OURS:
        raise NotReady(f"--agent-sandbox={name} is --agent-sandbox={_OURS[plain]}: write that")
    for each in dict.fromkeys((name, plain)):
        try:
            registry_find_sandboxenv(each)
        except ValueError as error:
            _, known, where = str(error).partition("Please install ")
            if known and each == plain:
                raise NotReady(f"--agent-sandbox={name} is not installed: install {where}") from None
        else:
            return each
    return None


def foreign_spec(item: AgentItem, default: str | None, provider: str, asked: Sequence[str], name: str) -> SandboxSpec:
    """The sandbox of a task: the file that it names or that lies beside it, an image, or what the provider starts.

    Args:
        item: the task.
        default: what tasks get that name none, as `--agent-sandbox-default` says it.
        provider: Inspect's name of the provider.
        asked: the options of the task that would change a container of our own.
        name: that of its suite, for the sandbox's name.

    Raises:
        NotReady: the provider cannot be asked for what the task wants.
    """
    who = f"the provider {provider}"
    if asked:
        raise NotReady(
            f"{item.nodeid} asks for {' and '.join(asked)}, of which {who} cannot be told: "
            "write it into the provider's own file, or leave the option out"
        )
    files = tuple(registry_find_sandboxenv(provider).config_files())
    wish, root = item.options.sandbox, item.config.rootpath
    config: Path | None = None
    try:
        choice = choose(wish, folder=item.path.parent, root=root, default=default, files=files)
    except ChoiceError as error:
        raise NotReady(f"{item.nodeid if wish is not None else 'agent_sandbox_default'} {error}") from None
    if isinstance(choice, NamedImage):
        if not any("compose.yaml" in file for file in files):
            raise NotReady(
                f"{item.nodeid} asks for the image {choice.image}, and {who} reads no compose file: "
                f"name one of its own files ({', '.join(files) or 'it has none'}), or leave the option out"
            )
        config = _compose_of(choice.image)
    elif not isinstance(choice, BuiltInImage):
        config = choice.path
    elif wish is not None or default is not None:
        raise NotReady(
            f"{item.nodeid} asks for the built-in image {choice.name!r}, which {who} does not have: "
            "write image:NAME, or leave it out"
        )
    note = f"sandbox: Inspect's provider {provider}, isolated as that does it, slower than ours"
    return SandboxSpec(provider, config, name, (note,))


@cache
def _compose_of(image: str) -> Path:
    """A compose file with one service, without a network; removed when this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="agenteval-")
    atexit.register(folder.cleanup)
    service = {"image": image, "x-local": True, "command": "tail -f /dev/null", "init": True, "network_mode": "none"}
    path = Path(folder.name) / "compose.yaml"
    path.write_text(json.dumps({"services": {"default": service}}), "utf-8")
    return path
