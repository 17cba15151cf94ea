"""What cannot be had as a sandbox is said in one sentence, before Docker is asked for anything."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.forked_pytest import forked_pytest

COMPOSE = "services: {{default: {{image: i, command: sleep infinity, network_mode: none, {}}}}}"
VOLUME = COMPOSE.format("volumes: ['data:/data']")
MOUNT = COMPOSE.format("volumes: ['/etc:/data']")


def without_docker(
    folder: Path,
    mark: str,
    *arguments: str,
    files: Mapping[str, str] | None = None,
    ini: str = "",
    fixture: str = "sandbox",
) -> pytest.RunResult:
    """A run of one task, where no daemon answers."""
    for name, text in {
        "pytest.ini": f"[pytest]\n{ini}",
        "suite/test_it.py": f"from pytest_agenteval import agent_task\n@agent_task({mark})\n"
        f"async def test_it({fixture}): pass\n",
        **(files or {}),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    environment = os.environ | {
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    asked = ("-p", "pytest_agenteval.plugin", "--agent-model=agenteval/null", *arguments)
    return forked_pytest(folder, asked, environment)


def refusal(folder: Path, mark: str, *arguments: str, files: Mapping[str, str] | None = None, ini: str = "") -> str:
    """The one line that pytest ends with, where no daemon answers."""
    done = without_docker(folder, mark, *arguments, files=files, ini=ini)
    assert done.ret == 4, done.outlines
    (line,) = [line for line in done.errlines if line.strip()]
    return line.removeprefix("ERROR: ")


def test_a_sandbox_that_is_not_there(tmp_path: Path) -> None:
    said = refusal(tmp_path, "sandbox='gpu'")
    assert said.startswith("suite/test_it.py::test_it names the sandbox 'gpu', and neither ")
    assert "sandboxes/gpu/" in said


def test_a_default_that_is_not_there(tmp_path: Path) -> None:
    said = refusal(tmp_path, "", ini="agent_sandbox_default = envs/Dockerfile")
    assert said.startswith("agent_sandbox_default names 'envs/Dockerfile', and there is no file ")


def test_the_host_may_not_be_reached_through_any_way_to_name_a_compose_file(tmp_path: Path) -> None:
    ways = {
        "beside": ("", "suite/compose.yaml"),
        "named": ("sandbox='gpu'", "sandboxes/gpu/compose.yaml"),
        "path": ("sandbox='envs/big.yaml'", "suite/envs/big.yaml"),
    }
    for name, (mark, file) in ways.items():
        said = refusal(tmp_path / name, mark, files={file: MOUNT})
        assert said == (
            f"{tmp_path / name / file} gives containers access to this host by services.default.volumes; "
            "remove it, or add --agent-allow-host-access if you mean it"
        )


def test_a_file_that_docker_compose_runs_is_not_changed_by_a_mark(tmp_path: Path) -> None:
    said = refusal(tmp_path, "network='bridge', cpus=2", files={"suite/compose.yaml": VOLUME})
    assert said == (
        f"suite/test_it.py::test_it asks for network and cpus, and {tmp_path}/suite/compose.yaml is run by Docker "
        "Compose (because `volumes`): write it into that file"
    )


@pytest.mark.parametrize(
    ("mark", "what"), [("network='none'", "network"), ("user='root', runtime='runsc'", "user and runtime")]
)
def test_a_local_sandbox_is_not_changed_by_a_mark(tmp_path: Path, mark: str, what: str) -> None:
    said = refusal(tmp_path, mark, "--agent-sandbox=local")
    assert said == (
        f"suite/test_it.py::test_it asks for {what}, which --agent-sandbox=local cannot give: run it in Docker, or "
        "leave the option out"
    )


def test_a_local_sandbox_cannot_tell_an_agents_processes_from_the_hosts(tmp_path: Path) -> None:
    said = refusal(tmp_path, "leftovers='stop'", "--agent-sandbox=local")
    assert said.startswith(
        "suite/test_it.py::test_it asks for leftovers='stop', and --agent-sandbox=local cannot tell "
    )


def test_no_docker_is_needed_for_tasks_without_a_sandbox(tmp_path: Path) -> None:
    done = without_docker(tmp_path, "", fixture="attempt")
    assert done.ret == 0, done.outlines
    assert any("pass@1 1.000" in line for line in done.outlines), done.outlines


def test_what_can_be_had_only_lacks_docker(tmp_path: Path) -> None:
    done = without_docker(tmp_path, "sandbox='image:x:1', memory='512m', cpus=0.5")
    assert done.ret == 10
    said = " ".join(" ".join(done.outlines).split()).partition("exit 10: ")[2]
    assert said.startswith("INCOMPLETE: No Docker daemon answers at unix:///nonexistent/docker.sock: "), done.outlines


def test_what_cannot_be_had_in_a_worker_of_xdist(tmp_path: Path) -> None:
    workers = ("-p", "xdist.plugin", "-n1")
    assert without_docker(tmp_path / "no daemon", "", *workers).ret == 10
    wrong = without_docker(tmp_path / "wrong", "sandbox='gpu'", *workers)
    assert wrong.ret == 4
    assert any("names the sandbox 'gpu'" in line for line in [*wrong.outlines, *wrong.errlines])
