from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from inspect_ai.util import ComposeConfig

from pytest_agenteval.sandbox.asked.compose import CAPABILITIES, default_compose
from pytest_agenteval.sandbox.asked.compose_plan import NotPlain, container_config, plain_service
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError

PLAIN = {"image": "i", "command": "tail -f /dev/null", "network_mode": "none"}


def file(**service: Any) -> dict[str, Any]:
    return {"services": {"default": {**PLAIN, **service}}}


def test_the_default_compose_file_is_the_default_container() -> None:
    config = plain_service(yaml.safe_load(default_compose("i", cpus=2)))
    assert config == ContainerConfig(image="i", user="agent", working_dir="/home/agent", cpus=2)


def test_everything_a_plain_service_may_say() -> None:
    text = """
    name: project
    x-common: 1
    services:
      box:
        x-default: true
        x-local: true
        image: i
        init: true
        command: [sleep, infinity]
        network_mode: bridge
        user: 1000
        working_dir: /w
        environment: [A=b=c, E=]
        mem_limit: 512m
        memswap_limit: 512m
        cpus: "1.5"
        pids_limit: 50
        shm_size: 128m
        read_only: true
        tmpfs: /t:size=1m
        hostname: h
        runtime: runsc
        stop_grace_period: 1s
        security_opt: ["no-new-privileges:false"]
        cap_drop: [CHOWN]
        cap_add: [NET_RAW]
    """
    assert plain_service(yaml.safe_load(text)) == ContainerConfig(
        name="box", image="i", network="bridge", user="1000", working_dir="/w", env={"A": "b=c", "E": ""},
        memory="512m", cpus=1.5, pids=50, shm_size="128m", read_only=True, tmpfs={"/t": "size=1m"}, hostname="h",
        runtime="runsc", new_privileges=True, capabilities=(*CAPABILITIES[1:], "NET_RAW"),
    )  # fmt: skip


def test_all_capabilities_can_be_dropped() -> None:
    assert plain_service(file(cap_drop=["ALL"])).capabilities == ()
    assert plain_service(file(cap_drop=["all"], cap_add=["CAP_KILL"])).capabilities == ("KILL",)


@pytest.mark.parametrize(
    ("key", "compose"),
    [
        ("volumes", {**file(), "volumes": {}}),
        ("networks", {**file(), "networks": {"n": {}}}),
        ("services", {}),
        ("services", {"services": {"default": PLAIN, "other": PLAIN}}),
        ("x-default", {"services": {"box": PLAIN}}),
        ("image", file(image=None, build=".")),
        ("command", file(command=None)),
        ("command", file(command="python3 -m http.server")),
        ("network_mode", file(network_mode=None)),
        ("network_mode", file(network_mode="host")),
        ("network_mode", file(network_mode="service:other")),
        *((key, file(**{key: ["x"]})) for key in ("volumes", "ports", "devices", "depends_on", "env_file", "profiles")),
        *((key, file(**{key: "x"})) for key in ("healthcheck", "entrypoint", "container_name", "pid", "ipc", "build")),
        ("privileged", file(privileged=True)),
        ("environment", file(environment=["FROM_THE_HOST"])),
        ("environment", file(environment={"FROM_THE_HOST": None})),
        ("environment", file(environment={"A": "${B}"})),
        ("environment", file(environment={"A": True})),
        ("image", file(image="i:${SAMPLE_METADATA_TAG}")),
        ("security_opt", file(security_opt=["seccomp:unconfined"])),
        ("cap_add", file(cap_add=["SYS_ADMIN"])),
        ("cap_add", file(cap_add=["ALL"])),
        ("mem_limit", file(mem_limit="much")),
        ("memswap_limit", file(mem_limit="1g", memswap_limit="2g")),
        ("cpus", file(cpus="all")),
        ("read_only", file(read_only="perhaps")),
    ],
)
def test_a_file_that_says_more_names_the_key(key: str, compose: dict[str, Any]) -> None:
    with pytest.raises(NotPlain) as not_plain:
        plain_service(compose)
    assert not_plain.value.key == key


def test_what_inspect_may_give_as_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(default_compose("i"))
    config = ContainerConfig(image="i", user="agent", working_dir="/home/agent")
    assert container_config(None) == ContainerConfig()
    assert container_config(config) is config
    assert container_config(str(path)) == config
    assert container_config(ComposeConfig.model_validate(file())) == ContainerConfig(image="i")
    path.write_text("services: [")
    for given, reason in (
        (str(path), "cannot be read"),
        (str(tmp_path / "absent.yaml"), "cannot be read"),
        (str(tmp_path / "Dockerfile"), "`build`"),
        (ComposeConfig.model_validate(file(ports=["80:80"])), "`ports`"),
    ):
        with pytest.raises(SandboxSetupError, match=reason):
            container_config(given)
