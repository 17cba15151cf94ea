"""Decides which compose files and Dockerfiles run in our own provider, and which need Docker Compose.

A plain file is one service that waits to be used, with only keys and values known here: anything else is left to Docker
Compose, and so are images that would run a program of their own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pytest_agenteval.errors import NotReady
from pytest_agenteval.sandbox.docker.containers import CAPABILITIES, DOCKERS_OWN, ContainerConfig, capability
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError

__all__ = [
    "ComposeFileError", "NotPlain", "Plan", "container_config", "images_to_pull", "own_program", "plain_service",
    "plan_compose", "read_compose",
]  # fmt: skip

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
    try:
        name, service = _only_service(content)
        build, image = service.get("build"), service.get("image")
        if "$" in f"{build}{image}":
            raise NotPlain("image" if build is None else "build")
        kept = {key: value for key, value in service.items() if key != "build" and value is not None}
        implied = {"network_mode": "none", "command": "sleep infinity"} | ({} if build is None else {"image": "built"})
        config = plain_service({**content, "services": {name: implied | kept | {"x-default": True}}})
    except NotPlain as error:
        return Plan(None, because=f"`{error.key}`")
    config = config.model_copy(update={"image": image})
    return Plan(config, name, build is not None, own_command="command" not in kept)


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
    """Why an image, of this description by the engine, is left to Docker Compose, as the end of a sentence, or None.

    Our provider starts nothing that an image would start by itself. In a compose file or a Dockerfile an ENTRYPOINT is
    meant to run, and so is the image's `command` if the file has none of its own.
    """
    config = image.get("Config") or {}
    if config.get("Entrypoint"):
        return "its image has an ENTRYPOINT"
    words = tuple(config.get("Cmd") or ())
    if command and words and words not in _KEEPALIVE and not (len(words) == 1 and words[0].split("/")[-1] in _SHELLS):
        return "its image has a CMD"
    return None


class NotPlain(Exception):
    """The file needs Docker Compose."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the compose file's `{key}` needs Docker Compose")
        self.key = key
        """The key whose presence or absence is the reason."""


def plain_service(compose: Mapping[str, Any]) -> ContainerConfig:
    """The container that a compose file describes. Raises `NotPlain`: it describes more, or something else.

    If the file does not say otherwise, the container has this package's limits and capabilities, not Docker's.
    """
    for key in compose:
        if key not in ("services", "version", "name") and not str(key).startswith("x-"):
            raise NotPlain(str(key))
    name, service = _only_service(compose)
    if name != "default" and service.get("x-default") is not True:
        raise NotPlain("x-default")
    for key in ("image", "command", "network_mode"):  # without: a build, the image's own program, a network of its own
        if service.get(key) is None:
            raise NotPlain(key)
    fields: dict[str, Any] = {"name": name, "capabilities": _capabilities(service)}
    for key, value in service.items():
        if str(key).startswith("x-") or value is None:
            continue
        rule = _RULES.get(str(key))
        try:
            if rule is None or "$" in str(value):
                raise NotPlain(str(key))
            given = rule(value)
            ContainerConfig(**given)
        except (ValueError, TypeError, AttributeError, ValidationError) as error:
            raise NotPlain(str(key)) from error
        fields |= given
    if "memswap_limit" in service and service["memswap_limit"] != service.get("mem_limit"):
        raise NotPlain("memswap_limit")
    return ContainerConfig(**fields)


def _only_service(compose: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    services = compose.get("services")
    if not isinstance(services, Mapping) or len(services) != 1:
        raise NotPlain("services")
    ((name, service),) = services.items()
    if not isinstance(service, Mapping):
        raise NotPlain("services")
    return str(name), service


def container_config(given: BaseModel | str | None) -> ContainerConfig:
    """The container for a configuration, a compose file or its content, or nothing, as Inspect passes it.

    Raises `SandboxSetupError` where it needs Docker or Docker Compose to build or run.
    """
    if given is None:
        return ContainerConfig()
    if isinstance(given, ContainerConfig):
        return given
    what = given if isinstance(given, str) else "The compose file"
    try:
        if isinstance(given, str):
            if not given.endswith((".yaml", ".yml")):
                raise NotPlain("build")
            content: Any = yaml.safe_load(Path(given).read_text("utf-8"))
        else:
            content = given.model_dump(by_alias=True, exclude_none=True)
        return plain_service(content if isinstance(content, Mapping) else {})
    except (OSError, yaml.YAMLError) as error:
        raise SandboxSetupError(f"{what} cannot be read as a compose file: {error}.") from error
    except NotPlain as error:
        raise SandboxSetupError(
            f"{what} needs Docker Compose (`{error.key}`), which the sandbox provider `agenteval` does not use: "
            "name Inspect's provider `docker` instead (`--sandbox docker`), or an image that is built."
        ) from error


def _capabilities(service: Mapping[str, Any]) -> tuple[str, ...]:
    added = [capability(each) for each in service.get("cap_add") or ()]
    dropped = {capability(each) for each in service.get("cap_drop") or ()}
    if not DOCKERS_OWN.issuperset(added):
        raise NotPlain("cap_add")
    kept = () if "ALL" in dropped else (each for each in CAPABILITIES if each not in dropped)
    return tuple(dict.fromkeys((*kept, *added)))


def _nothing(value: object) -> dict[str, Any]:
    """A key that says nothing about the container, or is read elsewhere."""
    return {}


def _as(field: str, kind: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {field: kind(value)}


def _command(value: Any) -> dict[str, Any]:
    words = tuple(shlex.split(value)) if isinstance(value, str) else tuple(value)
    if words not in _KEEPALIVE:
        raise ValueError
    return {}


def _environment(value: Any) -> dict[str, Any]:
    pairs = value.items() if isinstance(value, Mapping) else (each.split("=", 1) for each in value)
    env: dict[str, str] = {}
    for name, setting in pairs:
        if not isinstance(setting, str | int | float) or isinstance(setting, bool):
            raise ValueError  # taken from the host, or in a notation of YAML's
        env[str(name)] = str(setting)
    return {"env": env}


def _security(value: Any) -> dict[str, Any]:
    words = [str(each).replace("=", ":") for each in value]
    if not set(words) <= {"no-new-privileges", "no-new-privileges:true", "no-new-privileges:false"}:
        raise ValueError
    return {"new_privileges": "no-new-privileges:false" in words}


def _tmpfs(value: Any) -> dict[str, Any]:
    mounts = [value] if isinstance(value, str) else value
    return {"tmpfs": dict([*each.split(":", 1), ""][:2] for each in mounts)}


_RULES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "image": _as("image"),
    "command": _command,
    "network_mode": _as("network"),
    "user": _as("user", str),
    "working_dir": _as("working_dir"),
    "environment": _environment,
    "mem_limit": _as("memory"),
    "cpus": _as("cpus", float),
    "pids_limit": _as("pids", int),
    "shm_size": _as("shm_size"),
    "read_only": _as("read_only"),
    "tmpfs": _tmpfs,
    "hostname": _as("hostname"),
    "runtime": _as("runtime"),
    "security_opt": _security,
    "cap_add": _nothing,
    "cap_drop": _nothing,
    "memswap_limit": _nothing,
    "init": _nothing,
    "stop_grace_period": _nothing,
}
