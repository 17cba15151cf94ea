"""`--agent-sandbox=k8s` without a cluster: what is refused before one is asked."""

from __future__ import annotations

from support.suite_runs import Run

SUITE = """
from pytest_agenteval import agent_task

@agent_task{options}
async def test_it(agent, sandbox):
    await agent.run("go")
"""
IMAGE = "--agent-sandbox-default=image:registry.example/image:1"


def asked(run: Run, *arguments: str, options: str = "", conftest: str | None = None, **files: str) -> str:
    result = run(
        SUITE.format(options=options), "--agent-sandbox=k8s", *arguments,
        conftest=conftest, files={name.replace("_", "."): text for name, text in files.items()},
    )  # fmt: skip
    assert result.ret == 4
    return " ".join(" ".join(result.errlines + result.outlines).split())


def test_without_the_extra_it_says_what_to_install(run: Run) -> None:
    text = asked(run, IMAGE, conftest="import sys\nsys.modules['wsproto'] = None\n")
    assert "--agent-sandbox=k8s needs wsproto: install it with `pip install 'pytest-agenteval[k8s]'`" in text


def test_an_image_that_is_built_here_needs_a_registry(run: Run) -> None:
    assert "built-in image 'default', which is built on this machine" in asked(run)
    assert "name one by --agent-k8s-registry=HOST/PATH" in asked(run, Dockerfile="FROM scratch\n")


def test_what_a_pod_cannot_be_is_refused(run: Run) -> None:
    two = "services: {a: {image: x}, b: {image: y}}"
    assert "needs Docker Compose (because of `services`)" in asked(run, compose_yaml=two)
    limited = "services: {default: {image: x, command: sleep infinity, network_mode: none, pids_limit: 50}}"
    assert "Kubernetes limits processes by node only" in asked(run, compose_yaml=limited)
    result = run(SUITE.format(options="(resources={'gpu': 1})"), "--agent-sandbox=k8s", IMAGE)
    assert "resources must be limits and requests as in a pod" in " ".join(result.outlines)


def test_resources_are_for_a_cluster_only(run: Run) -> None:
    suite = SUITE.format(options="(resources={'limits': {'nvidia.com/gpu': 1}})")
    result = run(suite, "--agent-sandbox=local")
    assert result.ret == 4
    assert "asks for resources, which only --agent-sandbox=k8s can give" in " ".join(result.errlines + result.outlines)
