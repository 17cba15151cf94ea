from __future__ import annotations

from typing import Any

import pytest
import yaml

from pytest_agenteval.sandbox.asked.compose import default_compose, host_access


def service(**keys: Any) -> dict[str, Any]:
    return {"services": {"default": {"image": "debian", **keys}}}


def test_default_compose_hardens_one_waiting_service() -> None:
    text = default_compose("agenteval/default:0", user="agent", memory="2g", cpus=1.5, pids=99, network="none")
    assert yaml.safe_load(text) == {
        "services": {
            "default": {
                "image": "agenteval/default:0",
                "x-local": True,
                "command": "tail -f /dev/null",
                "init": True,
                "user": "agent",
                "working_dir": "/home/agent",
                "network_mode": "none",
                "cap_drop": ["ALL"],
                "cap_add": [
                    *["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETPCAP", "KILL"],
                    *["NET_BIND_SERVICE", "SYS_CHROOT"],
                ],
                "security_opt": ["no-new-privileges:true"],
                "pids_limit": 99,
                "mem_limit": "2g",
                "memswap_limit": "2g",
                "cpus": 1.5,
                "stop_grace_period": "1s",
            }
        }
    }


def test_default_compose_sets_no_limit_of_processors_unless_asked() -> None:
    assert "cpus" not in yaml.safe_load(default_compose("i"))["services"]["default"]


def test_default_compose_gives_nothing_of_the_host() -> None:
    assert host_access(yaml.safe_load(default_compose("i"))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("volumes", ["/var/run/docker.sock:/var/run/docker.sock"]),
        ("volumes", ["./data:/data:ro"]),
        ("volumes", ["~/.ssh:/ssh"]),
        ("volumes", ["../x:/x"]),
        ("volumes", [{"type": "bind", "source": "/etc", "target": "/etc"}]),
        ("volumes", [{"type": "npipe", "source": "x", "target": "y"}]),
        ("volumes", [{"type": "volume", "source": "/etc", "target": "/etc"}]),
        ("volumes", [{"source": "v", "target": "/v"}]),
        ("volumes", ["${WHERE}:/data"]),
        ("volumes", ["ok:/data", "/etc:/host"]),
        ("volumes", "/etc:/host"),
        ("volumes", {"a": "b"}),
        ("volumes_from", ["container:other"]),
        ("privileged", True),
        ("privileged", "true"),
        ("privileged", "${P}"),
        ("network_mode", "host"),
        ("network_mode", "container:other"),
        ("network_mode", "service:elsewhere"),
        ("network_mode", "${MODE}"),
        ("pid", "host"),
        ("pid", "container:other"),
        ("ipc", "host"),
        ("uts", "host"),
        ("userns_mode", "host"),
        ("cgroup", "host"),
        ("cgroup_parent", "/x"),
        ("devices", ["/dev/kvm"]),
        ("device_cgroup_rules", ["a *:* rwm"]),
        ("gpus", "all"),
        ("deploy", {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"]}]}}}),
        ("cap_add", ["SYS_ADMIN"]),
        ("cap_add", ["CHOWN", "cap_sys_module"]),
        ("cap_add", ["ALL"]),
        ("security_opt", ["seccomp:unconfined"]),
        ("security_opt", ["apparmor=unconfined"]),
        ("security_opt", ["no-new-privileges:true", "label:disable"]),
        ("runtime", "nvidia"),
        ("env_file", ".env"),
        ("environment", ["HOME"]),
        ("environment", {"OPENAI_API_KEY": None}),
        ("environment", {"KEY": "$OPENAI_API_KEY"}),
        ("environment", ["KEY=${OPENAI_API_KEY:-}"]),
        ("command", "echo ${HOME}"),
        ("extra_hosts", ["host.docker.internal:host-gateway"]),
        ("extra_hosts", {"host.docker.internal": "host-gateway"}),
        ("build", {"context": ".", "ssh": ["default"]}),
        ("build", {"context": ".", "secrets": ["key"]}),
        ("build", {"context": ".", "network": "host"}),
        ("build", {"context": ".", "privileged": True}),
        ("build", {"context": ".", "args": {"KEY": "${OPENAI_API_KEY}"}}),
        ("secrets", ["key"]),
        ("configs", ["c"]),
        ("extends", {"file": "other.yaml", "service": "x"}),
        ("use_api_socket", True),
        ("oom_score_adj", -1000),
        ("external_links", ["other"]),
        ("logging", {"driver": "syslog"}),
        ("post_start", [{"command": "x", "privileged": True}]),
        ("a_key_of_a_later_compose", 1),
    ],
)
def test_what_gives_the_host_is_named(key: str, value: Any) -> None:
    assert host_access(service(**{key: value})) == [f"services.default.{key}"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("volumes", ["data:/data", "/scratch"]),
        ("volumes", [{"type": "tmpfs", "target": "/t"}, {"type": "volume", "source": "v", "target": "/v"}]),
        ("volumes", None),
        ("network_mode", "none"),
        ("network_mode", "service:default"),
        ("networks", ["inside"]),
        ("ipc", "private"),
        ("privileged", False),
        ("cap_drop", ["ALL"]),
        ("cap_add", ["CAP_NET_RAW", "chown"]),
        ("security_opt", ["no-new-privileges:true"]),
        ("environment", {"A": "1", "B": "", "C": "${SAMPLE_METADATA_NAME}"}),
        ("environment", ["A=1", "PRICE=$$5"]),
        ("image", "registry.example/${TAG}"),
        ("build", "."),
        ("build", {"context": "./image", "dockerfile": "Dockerfile", "args": {"A": "1"}}),
        ("deploy", {"resources": {"limits": {"cpus": "1", "memory": "1g"}}}),
        ("extra_hosts", ["db:10.0.0.2"]),
        ("healthcheck", {"test": ["CMD", "true"]}),
        ("tmpfs", ["/tmp"]),
        ("runtime", "runsc"),
        ("x-default", True),
    ],
)
def test_what_stays_inside_is_not(key: str, value: Any) -> None:
    assert host_access(service(**{key: value})) == []


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ({"services": ["x"]}, ["services"]),
        ({"services": {"default": "x"}}, ["services.default"]),
        ({"services": {}, "include": ["other.yaml"]}, ["include"]),
        ({"services": {}, "secrets": {"key": {"file": "~/.ssh/id"}}}, ["secrets"]),
        (
            {"services": {}, "volumes": {"v": {"driver_opts": {"type": "none", "device": "/etc"}}}},
            ["volumes.v.driver_opts"],
        ),
        ({"services": {}, "volumes": {"v": {"external": True}}}, ["volumes.v.external"]),
        ({"services": {}, "volumes": ["v"]}, ["volumes.volumes"]),
        ({"services": {}, "networks": {"n": {"driver": "host"}}}, ["networks.n.driver"]),
        ({"services": {}, "networks": {"n": {"external": True}}}, ["networks.n.external"]),
        ({"services": {}, "networks": {"n": None, "m": {"internal": True}}, "volumes": {"v": None}}, []),
        ({"name": "suite", "version": "3", "x-note": "${HOME}", "services": {}}, []),
    ],
)
def test_the_rest_of_the_file_is_looked_at(file: dict[str, Any], names: list[str]) -> None:
    assert host_access(file) == names


def test_every_service_is_looked_at_and_every_key_named() -> None:
    file = {
        "services": {"default": {"privileged": True, "pid": "host"}, "db": {"image": "x", "devices": ["/dev/fuse"]}}
    }
    assert host_access(file) == ["services.default.privileged", "services.default.pid", "services.db.devices"]
