"""Compose files that need no Docker Compose: one service that waits to be used, and only keys known here.

This is a list of what is known to be plain. A key that is not in it, or has a value of unknown meaning, sends the file
to Docker Compose.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pytest_agenteval.sandbox.docker.containers import CAPABILITIES, ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError

__all__ = ["NotPlain", "container_config", "plain_service"]

_KEEPALIVE = {("tail", "-f", "/dev/null"), ("sleep", "infinity"), ("sleep", "inf")}
_DOCKERS_OWN = frozenset((*CAPABILITIES, "MKNOD", "NET_RAW", "AUDIT_WRITE", "SETFCAP"))
"""The capabilities that Docker gives a container by default (moby, oci/caps)."""


class NotPlain(Exception):
    """The file needs Docker Compose."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the compose file's `{key}` needs Docker Compose")
        self.key = key
        """The key whose presence or absence is the reason."""


def plain_service(compose: Mapping[str, Any]) -> ContainerConfig:
    """The container that a compose file describes.

    If the file does not say otherwise, the container has this package's limits and capabilities, not Docker's.

    Raises:
        NotPlain: it describes more, or something else.
    """
    for key in compose:
        if key not in ("services", "version", "name") and not str(key).startswith("x-"):
            raise NotPlain(str(key))
    services = compose.get("services")
    if not isinstance(services, Mapping) or len(services) != 1:
        raise NotPlain("services")
    ((name, service),) = services.items()
    if not isinstance(service, Mapping):
        raise NotPlain("services")
    if str(name) != "default" and service.get("x-default") is not True:
        raise NotPlain("x-default")
    for key in ("image", "command", "network_mode"):  # without: a build, the image's own program, a network of its own
        if service.get(key) is None:
            raise NotPlain(key)
    fields: dict[str, Any] = {"name": str(name), "capabilities": _capabilities(service)}
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


def container_config(given: BaseModel | str | None) -> ContainerConfig:
    """The container for a configuration, a compose file or its content, or nothing, as Inspect passes it.

    Raises:
        SandboxSetupError: it needs Docker or Docker Compose to build or run.
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
    added = [_capability(each) for each in service.get("cap_add") or ()]
    dropped = {_capability(each) for each in service.get("cap_drop") or ()}
    if not set(added) <= _DOCKERS_OWN:
        raise NotPlain("cap_add")
    kept = () if "ALL" in dropped else (each for each in CAPABILITIES if each not in dropped)
    return tuple(dict.fromkeys((*kept, *added)))


def _capability(name: object) -> str:
    return str(name).upper().removeprefix("CAP_")


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
