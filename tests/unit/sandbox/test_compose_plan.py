from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.sandbox.asked.compose import CAPABILITIES, host_access
from pytest_agenteval.sandbox.asked.compose_plan import ComposeFileError, Plan, own_program, plan_compose, read_compose
from pytest_agenteval.sandbox.docker.containers import ContainerConfig


def planned(tmp_path: Path, text: str) -> Plan:
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    return plan_compose(read_compose(file))


def service(**keys: Any) -> dict[str, Any]:
    return {"services": {"default": keys}}


def test_an_image_alone_is_hardened() -> None:
    plan = plan_compose(service(image="i"))
    assert plan == Plan(ContainerConfig(image="i"), "default", own_command=True)
    assert plan.config is not None
    assert (plan.config.network, plan.config.capabilities, plan.config.new_privileges) == ("none", CAPABILITIES, False)


def test_what_a_file_relaxes_by_name(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        """
services:
  box:
    image: i
    command: sleep infinity
    network_mode: bridge
    user: 33:33
    working_dir: /w
    environment:
      START: 12:30:00
      FLAG: yes
      COUNT: 3
      RATE: 0.5
    mem_limit: 1g
    cpus: "1.5"
    pids_limit: 64
    shm_size: 128m
    cap_drop: [ALL]
    cap_add: [NET_RAW]
    security_opt: ["no-new-privileges:false"]
    read_only: true
    tmpfs: ["/tmp:size=64m", /run]
    hostname: h
    runtime: runsc
""",
    )
    assert plan.config == ContainerConfig(
        image="i", name="box", network="bridge", user="33:33", working_dir="/w",
        env={"START": "12:30:00", "FLAG": "yes", "COUNT": "3", "RATE": "0.5"}, memory=1 << 30, cpus=1.5, pids=64,
        shm_size=128 << 20, capabilities=("NET_RAW",), new_privileges=True, read_only=True,
        tmpfs={"/tmp": "size=64m", "/run": ""}, hostname="h", runtime="runsc",
    )  # fmt: skip
    assert not plan.own_command


def test_a_build_is_named_and_its_image_may_be() -> None:
    plan = plan_compose(service(build={"context": ".", "args": {"A": "1"}}, network_mode="none"))
    assert plan.config is not None
    assert (plan.build, plan.service, plan.config.image) == (True, "default", None)
    named = plan_compose(service(build=".", image="mine:1")).config
    assert named is not None
    assert named.image == "mine:1"


@pytest.mark.parametrize(
    ("key", "value"),
    [("volumes", ["data:/data"]), ("networks", ["n"]), ("ports", ["80:80"]), ("depends_on", ["x"]),
     ("healthcheck", {"test": "true"}), ("env_file", ".env"), ("entrypoint", "/x"), ("command", "python3 serve.py"),
     ("profiles", ["p"]), ("container_name", "c"), ("privileged", True), ("network_mode", "host"),
     ("cap_add", ["SYS_ADMIN"]), ("security_opt", ["seccomp=unconfined"]), ("environment", ["HOME"]),
     ("environment", {"A": "${B}"}), ("image", "${IMAGE}"), ("user", "${USER}"), ("working_dir", "w"),
     ("never_heard_of", 1)],
)  # fmt: skip
def test_a_key_that_is_not_known_to_be_plain_is_the_reason(key: str, value: Any) -> None:
    assert plan_compose(service(**{"image": "i", key: value})) == Plan(None, because=f"`{key}`")


@pytest.mark.parametrize("key", ["volumes", "networks", "secrets", "configs", "include"])
def test_a_key_beside_the_services_is_the_reason(key: str) -> None:
    assert plan_compose({**service(image="i"), key: {"x": {}}}).because == f"`{key}`"


def test_two_services_are_the_reason_and_none_too() -> None:
    assert plan_compose({"services": {"default": {"image": "i"}, "db": {"image": "d"}}}).because == "`services`"
    nothing: list[Any] = [{}, None, {"default": None}, []]
    for content in ({}, *({"services": services} for services in nothing)):
        assert plan_compose(content).because == "`services`"


def test_a_variable_in_a_build_is_the_reason() -> None:
    assert plan_compose(service(build={"context": "${HERE}"})).because == "`build`"


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "command", "reason"),
    [
        (None, None, True, None),
        (None, ["bash"], True, None),
        ([], ["/bin/sh"], True, None),
        (None, ["python3"], True, None),
        (None, ["tail", "-f", "/dev/null"], True, None),
        (None, ["nginx", "-g", "daemon off;"], True, "its image has a CMD"),
        (None, ["nginx", "-g", "daemon off;"], False, None),
        (["/entry.sh"], None, False, "its image has an ENTRYPOINT"),
    ],
)
def test_an_image_that_would_run_a_program_of_its_own(
    entrypoint: list[str] | None, cmd: list[str] | None, command: bool, reason: str | None
) -> None:
    assert own_program({"Config": {"Entrypoint": entrypoint, "Cmd": cmd}}, command=command) == reason


def test_host_access_is_seen_in_words_that_only_yaml_1_1_takes_for_a_boolean(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text("services: {default: {image: i, privileged: yes}}")
    assert host_access(read_compose(file)) == ["services.default.privileged"]
    file.write_text("services: {default: {image: i, privileged: false}}")
    assert host_access(read_compose(file)) == []


@pytest.mark.parametrize("text", ["", "- a\n", "services: [", "services: !reset x", "\0"])
def test_a_file_that_is_no_compose_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text)
    with pytest.raises(ComposeFileError, match=r"compose\.yaml (cannot be read as|is not) a compose file"):
        read_compose(file)
