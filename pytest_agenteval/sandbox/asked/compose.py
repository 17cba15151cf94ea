"""Compose files: the default one for Inspect's own `docker` provider, and which parts of the host a file exposes.

A key counts as access to the host unless it is known to be harmless: anything not in the lists below is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pytest_agenteval.sandbox.docker.containers import CAPABILITIES, DOCKERS_OWN, capability

__all__ = ["default_compose", "host_access"]


def default_compose(
    image: str,
    *,
    user: str = "agent",
    working_dir: str = "/home/agent",
    memory: str = "4g",
    cpus: float | None = None,
    pids: int = 1024,
    network: str = "none",
) -> str:
    """The text of a compose file with one hardened service, `default`, that waits to be used.

    `memory` is a limit in Compose's notation, including swap; `cpus` a number of processors, None for no limit; `pids`
    the highest number of processes at once; `network` a network mode, `none` or `bridge`.
    """
    service: dict[str, Any] = {
        "image": image,
        "x-local": True,  # Inspect must not pull it
        "command": "tail -f /dev/null",
        "init": True,
        "user": user,
        "working_dir": working_dir,
        "network_mode": network,
        "cap_drop": ["ALL"],
        "cap_add": list(CAPABILITIES),
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": pids,
        "mem_limit": memory,
        "memswap_limit": memory,
        **({} if cpus is None else {"cpus": cpus}),
        "stop_grace_period": "1s",
    }
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in service.items())
    return f"services:\n  default:\n{lines}"


def host_access(compose: Mapping[str, Any]) -> list[str]:
    """The keys, as dotted paths, by which a compose file gives its containers access to the host, in the file's order.

    These are mounts of the host's files, its namespaces, devices, its environment (`${NAME}`, a variable without a
    value, `env_file`), capabilities beyond Docker's own, anything that lifts the confinement, and every key or form not
    known to be harmless. The file is taken as written, before Compose fills in its variables.
    """
    found: list[str] = []
    for key, value in compose.items():
        if key == "services":
            if not isinstance(value, Mapping):
                found.append(key)
                continue
            for name, service in value.items():
                found += _of(f"services.{name}", service, _service_keys(set(value)))
        elif key in ("volumes", "networks"):
            safe = _PLAIN_VOLUME if key == "volumes" else _PLAIN_NETWORK
            for name, definition in (value or {}).items() if isinstance(value or {}, Mapping) else ((key, value),):
                found += _of(f"{key}.{name}", definition or {}, safe)
        elif not str(key).startswith("x-") and (key not in ("name", "version") or _interpolated(value)):
            found.append(str(key))
    return found


_Rule = Callable[[Any], bool]
"""Whether a value is known not to expose the host."""


def _of(path: str, mapping: Any, rules: Mapping[str, _Rule]) -> Iterator[str]:
    """The keys of the mapping that no rule allows."""
    if not isinstance(mapping, Mapping):
        yield path
        return
    for key, value in mapping.items():
        if str(key).startswith("x-"):
            continue
        rule = rules.get(str(key))
        if rule is None or not rule(value):
            yield f"{path}.{key}"


_VARIABLE = re.compile(r"\$\$|\$\{?(?!SAMPLE_METADATA_)[A-Za-z_]")


def _interpolated(value: Any) -> bool:
    """Whether Compose would fill in a variable of the host's environment. Inspect's own, of the sample, do not
    count."""
    if isinstance(value, str):
        return any(match != "$$" for match in _VARIABLE.findall(value))
    if isinstance(value, Mapping):
        return any(_interpolated(each) for pair in value.items() for each in pair)
    return isinstance(value, list | tuple) and any(map(_interpolated, value))


def _plain(value: Any) -> bool:
    return not _interpolated(value)


def _one_of(*values: object) -> _Rule:
    return lambda value: not isinstance(value, Mapping | list) and value in values


def _all_of(rule: _Rule) -> _Rule:
    """Every element of a list passes; a single value counts as a list of one."""
    return lambda value: all(map(rule, value)) if isinstance(value, list) else value is None or rule(value)


def _mapping_of(rules: Mapping[str, _Rule]) -> _Rule:
    return lambda value: value is None or (isinstance(value, Mapping) and not [*_of("", value, rules)])


def _named_volume(value: Any) -> bool:
    """A volume that the daemon keeps, or one in memory: not a path of the host."""
    if isinstance(value, Mapping):
        return _plain(value) and (
            value.get("type") == "tmpfs"
            or (
                value.get("type") == "volume"
                and re.fullmatch(r"[A-Za-z0-9][\w.-]*", str(value.get("source", "v"))) is not None
            )
        )
    if not isinstance(value, str) or _interpolated(value):
        return False
    source, separator, _ = value.partition(":")
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*", source) is not None if separator else value.startswith("/")


def _environment(value: Any) -> bool:
    """Every variable has its value in the file; one without a value is taken from the host."""
    if isinstance(value, Mapping):
        return _plain(value) and all(each is not None for each in value.values())
    return isinstance(value, list) and all(isinstance(each, str) and "=" in each and _plain(each) for each in value)


def _image(value: Any) -> bool:
    """A name, with or without a variable in it: it does not reach the container."""
    return isinstance(value, str)


_LIMITS = dict.fromkeys(("cpus", "memory", "pids"), _plain)
_RESOURCES = {"limits": _mapping_of(_LIMITS), "reservations": _mapping_of(_LIMITS)}
_PLAIN_VOLUME: dict[str, _Rule] = {"name": _plain, "labels": _plain, "driver": _one_of("local")}
_PLAIN_NETWORK: dict[str, _Rule] = {
    **dict.fromkeys(("name", "labels", "internal", "attachable", "enable_ipv6", "enable_ipv4", "ipam"), _plain),
    "driver": _one_of("bridge", "default"),
}
_BUILD: dict[str, _Rule] = {
    **dict.fromkeys(("context", "dockerfile", "dockerfile_inline", "args", "target", "labels", "platforms"), _plain),
    **dict.fromkeys(("no_cache", "pull", "shm_size", "cache_from"), _plain),
    "tags": _all_of(_image),
}
_HARMLESS = (
    *("command", "entrypoint", "working_dir", "user", "group_add", "hostname", "domainname", "init", "labels"),
    *("annotations", "container_name", "depends_on", "healthcheck", "platform", "profiles", "pull_policy", "restart"),
    *("scale", "attach", "stdin_open", "tty", "stop_signal", "stop_grace_period", "read_only", "tmpfs", "shm_size"),
    *("cpus", "cpu_count", "cpu_percent", "cpu_shares", "cpu_quota", "cpu_period", "cpuset", "mem_limit"),
    *("mem_reservation", "memswap_limit", "mem_swappiness", "pids_limit", "ulimits", "cap_drop", "sysctls"),
    *("networks", "expose", "ports", "links", "dns", "dns_opt", "dns_search", "mac_address"),
)


def _service_keys(services: set[Any]) -> dict[str, _Rule]:
    """The rules for the keys of a service of a file with these services."""
    beside = tuple(f"service:{name}" for name in services)
    return {
        **dict.fromkeys(_HARMLESS, _plain),
        "image": _image,
        "build": lambda value: _plain(value) if isinstance(value, str) else _mapping_of(_BUILD)(value),
        "environment": _environment,
        "volumes": _all_of(_named_volume),
        "volumes_from": _all_of(lambda value: str(value).split(":", 1)[0] in services),
        "network_mode": _one_of("none", "bridge", *beside),
        "pid": _one_of(*beside),
        "ipc": _one_of("none", "private", "shareable", *beside),
        "cgroup": _one_of("private"),
        "privileged": _one_of(False),
        "cap_add": _all_of(lambda value: capability(value) in DOCKERS_OWN),
        "security_opt": _all_of(lambda value: str(value).split(":")[0].split("=")[0] == "no-new-privileges"),
        "runtime": _one_of("runc", "crun", "runsc", "io.containerd.runc.v2"),
        "extra_hosts": lambda value: _plain(value) and "host-gateway" not in str(value),
        "logging": _mapping_of({"driver": _one_of("none", "json-file", "local"), "options": _plain}),
        "deploy": _mapping_of({"resources": _mapping_of(_RESOURCES), "replicas": _plain, "restart_policy": _plain}),
    }
