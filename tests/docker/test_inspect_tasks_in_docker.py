"""Inspect tasks whose samples name their sandboxes, with no image of a registry: all are built from our own."""

from __future__ import annotations

import json

import pytest
from support.suite_runs import Run, run

from pytest_agenteval.sandbox.images.images import DEFAULT_IMAGE, ensure_default_image

__all__ = ["run"]

CONFTEST = """
import json, pathlib

def pytest_runtest_logreport(report):
    if hasattr(report, "agenteval"):
        from pytest_agenteval.record.records import to_json

        with pathlib.Path(__file__).with_name("records.jsonl").open("a") as file:
            print(json.dumps(to_json(report.agenteval)), file=file)
"""
EVALS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import exact
from inspect_ai.solver import solver
from inspect_ai.util import ComposeConfig, ComposeService, sandbox

LOOK = "cat given.txt; cat /made 2>/dev/null; printf %s,$TOLD,; cat /sys/class/net/*/address | wc -l; whoami"

@solver
def look():
    async def solve(state, generate):
        state.output.completion = (await sandbox().exec(["sh", "-c", LOOK])).stdout.strip()
        return state
    return solve

def sample(id, target, **more):
    return Sample(id=id, input="Look.", target=target, files={"given.txt": id}, setup="printf ! >> given.txt", **more)

@task
def places():
    service = ComposeService(image="IMAGE", command="sleep infinity", network_mode="none", init=True, user="root",
                             environment={"TOLD": "object"})
    compose = ComposeConfig(services={"default": service})
    return Task(
        dataset=[
            sample("own", "own!,,1\\nagent", sandbox="docker"),
            sample("local", "local!,,1\\nagent", sandbox="local"),
            sample("built", "built!yes,,1\\nroot", sandbox=("docker", "places/Dockerfile")),
            sample("told", "told!,kept,1\\nroot", sandbox=("docker", "places/compose.yaml"), metadata={"told": "kept"}),
            sample("config", "config!,object,1\\nroot", sandbox=("docker", compose)),
        ],
        solver=look(), scorer=exact(),
    )

@task
def elsewhere():
    return Task(dataset=[sample("a", "a!,,1\\nagent")], solver=look(), scorer=exact(),
                sandbox=("docker", "places/no-such-compose.yaml"))
"""
COMPOSE = """
services:
  default:
    image: {image}
    init: true
    command: sleep infinity
    network_mode: none
    user: root
    environment:
      TOLD: ${{SAMPLE_METADATA_TOLD}}
"""
SUITE = """
from pytest_agenteval import inspect_task
test_places = inspect_task("evals.py@places")
test_named = inspect_task("evals.py@elsewhere", sandbox="default")
"""


def outcomes(text: str) -> dict[str, list[str]]:
    found = (json.loads(line) for line in text.splitlines())
    return {r["task"].split("::")[1]: [f"{a['outcome']} {a['message']}".strip() for a in r["attempts"]] for r in found}


def test_every_sample_gets_its_sandbox_with_its_files_and_set_up(run: Run, pytester: pytest.Pytester) -> None:
    ensure_default_image(print)
    files = {
        "evals.py": EVALS.replace("IMAGE", DEFAULT_IMAGE),
        "places/Dockerfile": f"FROM {DEFAULT_IMAGE}\nUSER root\nRUN printf yes > /made\n",
        "places/compose.yaml": COMPOSE.format(image=DEFAULT_IMAGE),
    }
    done = run(SUITE, "-q", "--agent-model=agenteval/null", "--k=2", conftest=CONFTEST, files=files, model=None)
    assert outcomes((pytester.path / "records.jsonl").read_text("utf-8")) == {
        f"test_places[{name}]": ["passed"] * 2 for name in ("own", "local", "built", "told", "config")
    } | {"test_named[a]": ["passed"] * 2}
    assert done.ret == 0
    done = run(
        SUITE, "-q", "--agent-model=agenteval/null", "--agent-sandbox-default=default", "-k", "told or built",
        files=files, model=None,
    )  # fmt: skip
    done.stdout.fnmatch_lines(["*(the answer: built!,,1 agent)", "*(the answer: told!,,1 agent)"])
