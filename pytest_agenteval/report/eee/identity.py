"""The name of a model in Every Eval Ever, and where the files of a cell go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pytest_agenteval.errors import NotReady

__all__ = ["ModelIdentity", "check_collection", "folder", "model_identity", "uuid_of"]

_HOSTS = frozenset({"cf", "hf-inference-providers", "openai-api", "openrouter", "together"})
"""Inspect's providers that serve models of other developers: `provider/developer/model`."""
_ENGINES = frozenset({"hf", "llama-cpp-python", "ollama", "sglang", "transformer_lens", "vllm"})
"""Inspect's providers that run a model on the user's own machine."""
_CLOUDS = frozenset({"azure", "bedrock", "vertex"})
"""Parts that Inspect allows between a developer and its model: `anthropic/bedrock/model`."""

_FORBIDDEN = re.compile(r'[<>"\\|?*\x00-\x1f]')
"""Characters that no name may contain. A model's id may have a colon; its folder then has an underscore instead."""
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{name}{i}" for name in ("COM", "LPT") for i in range(1, 10))})


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A model as the datastore knows it."""

    name: str
    """Inspect's name for it."""
    id: str
    """`developer/model`."""
    platform: str | None = None
    """Who served it, if not its developer."""
    engine: str | None = None
    """What ran it, if that was the user's own machine."""

    @property
    def developer(self) -> str:
        """Who made it, according to its name."""
        return self.id.partition("/")[0]

    @property
    def deployment(self) -> str:
        """`self_deployed`, or `unknown`: a provider's name does not say who runs what is behind its address."""
        return "unknown" if self.engine is None else "self_deployed"


def model_identity(name: str, known: Mapping[str, str]) -> ModelIdentity:
    """The identity of a model of Inspect.

    Args:
        name: Inspect's name for it.
        known: identities that the user gave, `developer/model` by Inspect's name.

    Raises:
        NotReady: a given identity is not of the form `developer/model`.
    """
    if name in known:
        developer, _, model = known[name].partition("/")
        if not all(_usable(part) for part in (developer, *model.split("/"))):
            raise NotReady(f"--model-id {name}={known[name]} names no model: write {name}=DEVELOPER/MODEL")
        return ModelIdentity(name, known[name])
    first, *rest = name.split("/")
    if first in _ENGINES:
        return ModelIdentity(name, _id(rest if len(rest) > 1 else [first, *rest]), engine=first)
    if first in _HOSTS and len(rest) > 1:
        return ModelIdentity(name, _id(rest), platform=first)
    if len(rest) > 1 and rest[0] in _CLOUDS:
        return ModelIdentity(name, _id([first, *rest[1:]]), platform=rest[0])
    return ModelIdentity(name, _id([first, *rest] if rest else ["unspecified", first]))


def folder(collection: str, model: ModelIdentity) -> str:
    """The folder of a cell's files, relative to the root of a datastore."""
    parts = [_portable(part) for part in model.id.split("/")]
    return f"data/{collection}/{parts[0]}/{'_'.join(parts[1:])}"


def check_collection(name: str) -> str:
    """The name of a collection, as it was given.

    Raises:
        NotReady: it cannot be the name of a folder in the datastore.
    """
    if "/" in name or not _usable(name) or _portable(name) != name:
        raise NotReady(f"--collection {name!r} cannot be a folder's name: write letters, digits, dots and dashes")
    return name


def uuid_of(digest: bytes) -> UUID:
    """A UUID in the form of version 4, as file names must have it, made from a digest instead of chance."""
    return UUID(bytes=digest[:16], version=4)


def _id(parts: list[str]) -> str:
    cleaned = (_FORBIDDEN.sub("-", part).strip().rstrip(". ") for part in parts)
    named = [part if _usable(part) else f"{part or 'unspecified'}-model" for part in cleaned]
    return "/".join(named)


def _usable(part: str) -> bool:
    """Whether the datastore accepts it as the name of a developer, a model or a collection."""
    reserved = part.split(".", 1)[0].upper() in _RESERVED or part == "data" or part.lower() == "unknown"
    return (
        bool(part) and part == part.strip() and not reserved and not part.endswith(".") and not _FORBIDDEN.search(part)
    )


def _portable(part: str) -> str:
    return part.replace(":", "_")
