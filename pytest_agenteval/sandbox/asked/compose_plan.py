"""Decides which compose files and Dockerfiles run in our own provider, and which need Docker Compose.

Pure except for `read_compose`. `plain_service` knows what a plain service is. This module handles the rest: builds, and
images that would run a program of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pytest_agenteval.errors import NotReady
from pytest_agenteval.sandbox.asked.plain_service import NotPlain, plain_service
from pytest_agenteval.sandbox.docker.containers import ContainerConfig

__all__ = ["ComposeFileError", "Plan", "images_to_pull", "own_program", "plan_compose", "read_compose"]

_KEEPALIVE = {("tail", "-f", "/dev/null"), ("sleep", "infinity"), ("sleep", "inf")}
_SHELLS = ("bash", "sh", "dash", "python", "python3", "node")
"""Without a terminal they end at once, so nobody has meant them to run."""


class ComposeFileError(NotReady):
    """It is no compose file; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a compose file is to be run: by ourselves (`config`), or by Docker Compose (`because`)."""

    config: ContainerConfig | None
    """The container; its `image` may be None if a build makes it."""
    service: str = ""
    """The name of the only service."""
    build: bool = False
    """Whether its image has to be built first."""
    own_command: bool = False
    """Whether the image's own command is to run."""
    because: str = ""
    """Why Docker Compose is needed: the key, in backquotes."""


class _Loader(yaml.SafeLoader):
    """YAML as Compose reads it: `12:30` is a text, and so are `yes`, `no`, `on` and `off`."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)


def read_compose(path: Path) -> Mapping[str, Any]:
    """The content of a compose file, as written: variables are not filled in. Raises `ComposeFileError`."""
    try:
        content: Any = yaml.load(path.read_text("utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ComposeFileError(f"{path} cannot be read as a compose file: {error}") from error
    if not isinstance(content, dict):
        raise ComposeFileError(f"{path} is not a compose file: it has no keys")
    return content


def plan_compose(content: Mapping[str, Any]) -> Plan:
    """How to run a compose file. Anything not known to be plain is left to Docker Compose.

    If the file does not say otherwise, this package's hardening applies. For example, there is no network unless the
    file or the task's mark asks for one.
    """
    services = content.get("services")
    if not isinstance(services, Mapping) or len(services) != 1:
        return Plan(None, because="`services`")
    ((name, service),) = services.items()
    if not isinstance(service, Mapping):
        return Plan(None, because="`services`")
    build, image = service.get("build"), service.get("image")
    if "$" in f"{build}{image}":
        return Plan(None, because="`image`" if build is None else "`build`")
    kept = {key: value for key, value in service.items() if key != "build" and value is not None}
    implied: dict[str, Any] = {"network_mode": "none", "command": "sleep infinity"}
    if build is not None:
        implied["image"] = "built"
    try:
        config = plain_service({**content, "services": {name: implied | kept | {"x-default": True}}})
    except NotPlain as error:
        return Plan(None, because=f"`{error.key}`")
    config = config.model_copy(update={"image": image})
    return Plan(config, str(name), build is not None, own_command="command" not in kept)


def images_to_pull(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The images that the services of a compose file pull from a registry, if the file names them literally.

    Images that Docker Compose builds or does not pull, and those named by variables, are left out.
    """
    services = content.get("services")
    every = services.values() if isinstance(services, Mapping) else ()
    named = [
        str(service["image"])
        for service in every
        if isinstance(service, Mapping)
        and service.get("image")
        and not (service.get("build") or service.get("x-local") or service.get("profiles"))
        and service.get("pull_policy") not in ("build", "never")
    ]
    return tuple(dict.fromkeys(name for name in named if "$" not in name))


def own_program(image: Mapping[str, Any], *, command: bool) -> str | None:
    """Why an image is left to Docker Compose, as the end of a sentence, or None.

    Our provider starts nothing that an image would start by itself. In a compose file or a Dockerfile an ENTRYPOINT is
    meant to run, and so is the image's command if the file has none of its own.

    Args:
        image: the engine's own description.
        command: whether the image's command is to run.
    """
    config = image.get("Config") or {}
    if config.get("Entrypoint"):
        return "its image has an ENTRYPOINT"
    words = tuple(config.get("Cmd") or ())
    if command and words and words not in _KEEPALIVE and not (len(words) == 1 and words[0].split("/")[-1] in _SHELLS):
        return "its image has a CMD"
    return None
