"""From the sandboxes that tasks and options ask for to a pod for each task, with `--agent-sandbox=k8s`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.sandboxes.places import SandboxSpec
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.settings import SandboxSettings, Settings
from pytest_agenteval.sandbox.asked.choice import (
    BuiltInImage,
    Choice,
    ChoiceError,
    ConfigFile,
    NamedImage,
    choose,
    is_dockerfile,
)
from pytest_agenteval.sandbox.asked.compose_plan import Plan, plan_compose, read_compose
from pytest_agenteval.sandbox.cluster.pods import PodConfig, require_extra
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect
from pytest_agenteval.sandbox.images.images import ensure_image
from pytest_agenteval.sandbox.images.task_image import built_image

__all__ = ["choose_pods"]

_CHANGES = ("network", "cpus", "memory", "user", "runtime")
"""Options of a task that change its pod and have the name of what they change."""
_PUSH_SECONDS = 600.0
"""The longest silence of a push."""
_UNCHECKED = "not isolated: whether the cluster keeps the network from it was not checked"


def choose_pods(
    settings: Settings, items: Sequence[AgentItem], say: Callable[[str], None] | None
) -> dict[str, SandboxSpec | None]:
    """The pod of every task, by its node id; None for a task that uses none.

    `say` gets a line about anything that takes a while; None: build and push nothing, for this is a check.

    Raises:
        NotReady: the extra `k8s` is not installed, a sandbox is not described correctly, or a cluster cannot run it.
        NotAvailable: an image could not be built or pushed.
    """
    require_extra("--agent-sandbox=k8s")
    pushed: dict[Choice, str] = {}
    found: dict[str, SandboxSpec | None] = {}
    for item in items:
        uses_none = item.options.sandbox == "none" or not item.plan.uses_ours("agent", "sandbox")
        found[item.nodeid] = None if uses_none else _spec(item, settings.sandboxes, say, pushed)
    return found


def _spec(
    item: AgentItem, asked: SandboxSettings, say: Callable[[str], None] | None, pushed: dict[Choice, str]
) -> SandboxSpec:
    choice, plan = _choice(item, asked.default)
    assert plan.config is not None
    image = choice.image if isinstance(choice, NamedImage) else plan.config.image if not plan.build else None
    if image is None and asked.k8s_registry is None:
        what = f"the built-in image {choice.name!r}" if isinstance(choice, BuiltInImage) else _path(choice)
        raise NotReady(
            f"{item.nodeid} gets {what}, which is built on this machine, and a cluster pulls images from a registry: "
            "name one by --agent-k8s-registry=HOST/PATH, or name an image (image:python:3.12-slim)"
        )
    if image is None and say is not None:
        if choice not in pushed:
            pushed[choice] = _push(choice, plan, str(asked.k8s_registry), say)
        image = pushed[choice]
    given = plan.config.model_dump(exclude_unset=True) | {"image": image or "built"}
    given |= {name: value for name in _CHANGES if (value := getattr(item.options, name)) is not None}
    resources: Mapping[str, Mapping[str, Any]] = item.options.resources or {}
    given |= {kind: {name: str(amount) for name, amount in resources[kind].items()} for kind in resources}
    try:
        config = PodConfig(
            context=asked.k8s_context,
            namespace=asked.k8s_namespace,
            check_network=not asked.allow_host_access,
            **given,
        )
    except ValidationError as error:
        raise NotReady(f"{item.nodeid}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    notes = (_UNCHECKED,) if config.network == "none" and not config.check_network else ()
    name = item.nodeid.split("::")[0].removesuffix(".py").replace("/", "-")
    return SandboxSpec("agenteval-k8s", config, name, notes)


def _choice(item: AgentItem, default: str | None) -> tuple[Choice, Plan]:
    """What the task asks for, and how that is run. Raises `NotReady` where no pod can be that."""
    try:
        choice = choose(item.options.sandbox, folder=item.path.parent, root=item.config.rootpath, default=default)
    except ChoiceError as error:
        who = item.nodeid if item.options.sandbox is not None else "agent_sandbox_default"
        raise NotReady(f"{who} {error}") from None
    if not isinstance(choice, ConfigFile):
        return choice, Plan(PodConfig())
    if is_dockerfile(choice.path.name):
        return choice, Plan(PodConfig(), build=True)
    plan = plan_compose(read_compose(choice.path))
    if plan.config is None:
        raise NotReady(
            f"{choice.path} needs Docker Compose (because of {plan.because}), and --agent-sandbox=k8s runs one "
            "container: run it in Docker, or name a sandbox for the cluster"
        )
    return choice, plan


def _push(choice: Choice, plan: Plan, registry: str, say: Callable[[str], None]) -> str:
    """Build the image here and push it; returns the name by which the cluster pulls exactly this one."""
    if isinstance(choice, BuiltInImage):
        local = ensure_image(choice.name, say).name
    else:
        assert isinstance(choice, ConfigFile)
        service = plan.service or None
        image = plan.config.image if plan.config is not None and service is not None else None
        local = str(built_image(choice.path, say, service=service, image=image)["Id"])
    name = f"agenteval-{choice.name if isinstance(choice, BuiltInImage) else 'task'}"
    repository, tag = f"{registry.rstrip('/')}/{name}", local.rpartition(":")[2][:12]
    try:
        with connect(_PUSH_SECONDS) as daemon:
            digest = daemon.push(local, repository, tag)
    except SandboxSetupError as error:
        why, host = str(error).rstrip("."), registry.partition("/")[0]
        raise SandboxSetupError(
            f"The image {local} could not be pushed to {repository} ({why}): see `docker login {host}`."
        ) from error
    say(f"sandbox image {repository}:{tag} pushed")
    return f"{repository}@{digest}" if digest else f"{repository}:{tag}"


def _path(choice: Choice) -> Path | str:
    return choice.path if isinstance(choice, ConfigFile) else str(choice)
