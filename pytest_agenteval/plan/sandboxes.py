"""From the sandboxes that tasks and options ask for to a sandbox for each task: read files, build images, refuse."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pytest_agenteval.collect.inspect_task import SAMPLE
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.inspect_private import is_internal_image
from pytest_agenteval.engine.inspect_tasks.attempt import InspectSample
from pytest_agenteval.engine.sandboxes.offered import OfferedSandbox
from pytest_agenteval.engine.sandboxes.places import KNOWN_PROVIDERS, SandboxSpec
from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.options.values import SANDBOXES
from pytest_agenteval.plan.foreign import foreign_spec, inspect_provider, registered
from pytest_agenteval.plan.pods import choose_pods
from pytest_agenteval.record.figures import joined
from pytest_agenteval.sandbox.asked.choice import (
    BuiltInImage,
    Choice,
    ChoiceError,
    ConfigFile,
    NamedImage,
    choose,
    is_dockerfile,
)
from pytest_agenteval.sandbox.asked.compose import default_compose, host_access
from pytest_agenteval.sandbox.asked.compose_plan import (
    Plan,
    images_to_pull,
    own_program,
    plan_compose,
    read_compose,
)
from pytest_agenteval.sandbox.docker.address import address
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import DaemonGone, DaemonSilent, SandboxSetupError, connect
from pytest_agenteval.sandbox.docker.engine_api import Endpoint
from pytest_agenteval.sandbox.images.images import ensure_image
from pytest_agenteval.sandbox.images.task_image import built_image, present_image
from pytest_agenteval.sandbox.preflight import preflight, refuse_bad_compose

__all__ = ["RELAXATIONS", "choose_sandboxes"]

T = TypeVar("T")
R = TypeVar("R")

RELAXATIONS = ("network", "cpus", "memory", "user", "runtime")
"""Options of a task that change its container."""
NONE = "none"
"""Means no sandbox: the task's agent works with the task's own tools."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A sandbox that tasks ask for, before anything is built."""

    choice: Choice
    plan: Plan
    access: tuple[str, ...] = ()
    """The keys by which it gives the container access to this host."""

    @property
    def compose(self) -> bool:
        """Whether Docker Compose must run or build it."""
        dockerfile = isinstance(self.choice, ConfigFile) and is_dockerfile(self.choice.path.name)
        return dockerfile or self.plan.config is None or self.plan.build


@dataclass(frozen=True, slots=True)
class _Ready:
    """A sandbox that can be started."""

    config: ContainerConfig | None
    """For the plugin's own provider; None if Docker Compose runs the file of the wish."""
    image: Mapping[str, Any] | None = None
    """The engine's description of its image, if known."""
    because: str = ""


def check_sandboxes(
    settings: Settings, items: Sequence[AgentItem], offered: Mapping[str, OfferedSandbox]
) -> dict[str, _Wish]:
    """The sandboxes that tasks ask Docker for, by node id, as far as they can be refused without asking it.

    Raises:
        NotReady: a sandbox is not described correctly, or accesses this host without permission.
    """
    if settings.sandboxes.kind == "k8s":
        choose_pods(settings, items, None)
        return {}
    for item in items:
        if item.options.resources is not None:
            raise NotReady(
                f"{item.nodeid} asks for resources, which only --agent-sandbox=k8s can give: leave the option out"
            )
    if settings.sandboxes.kind != "docker":
        choose_sandboxes(settings, items, lambda _: None, offered)
        return {}
    needing = [item for item in items if item.plan.uses_ours("agent", "sandbox") and item.options.sandbox != NONE]
    return {item.nodeid: _wish(item, settings) for item in needing}


def choose_sandboxes(
    settings: Settings,
    items: Sequence[AgentItem],
    say: Callable[[str], None],
    offered: Mapping[str, OfferedSandbox],
) -> dict[str, SandboxSpec | None]:
    """The sandbox of every task, by its node id; None for a task that uses none.

    Args:
        settings: the settings of the run.
        items: the tasks of the run.
        say: called with a line about anything that takes a while, such as building or pulling a missing image.
        offered: sandboxes of plugins, by the name that `--agent-sandbox` takes.

    Raises:
        NotReady: a sandbox is not described correctly, accesses this host without permission, or cannot be changed as
            its task asks.
        NotAvailable: Docker does not answer, or an image is not available; the message names all that are missing.
    """
    if settings.sandboxes.kind == "k8s":
        return choose_pods(settings, items, say)
    if settings.sandboxes.kind != "docker":
        give = _giver(settings, offered)
        return {item.nodeid: None if item.options.sandbox == NONE else give(item) for item in items}
    wishes = check_sandboxes(settings, items, offered)
    found: dict[str, SandboxSpec | None] = dict.fromkeys((item.nodeid for item in items), None)
    ours = Endpoint.current() is not None
    if wishes:
        preflight(compose=not ours or any(wish.compose for wish in wishes.values()))
    ready = _make_all_ready(wishes.values(), say)
    for item in [item for item in items if item.nodeid in wishes]:
        wish = wishes[item.nodeid]
        found[item.nodeid] = _told(_spec(item, wish, ready[wish.choice], ours), item)
    _check_runtimes(found)
    return found


def _local(item: AgentItem) -> SandboxSpec:
    if asked := _relaxations(item):
        raise NotReady(
            f"{item.nodeid} asks for {' and '.join(asked)}, which --agent-sandbox=local cannot give: "
            "run it in Docker, or leave the option out"
        )
    if item.options.leftovers == "stop":
        raise NotReady(
            f"{item.nodeid} asks for leftovers='stop', and --agent-sandbox=local cannot tell an agent's processes from "
            "this host's: run it in Docker, or leave the option out"
        )
    return SandboxSpec("local", None, _name(item), ("not isolated",))


def _giver(settings: Settings, offered: Mapping[str, OfferedSandbox]) -> Callable[[AgentItem], SandboxSpec]:
    """What gives a task its sandbox where that is not in Docker: ours, a plugin's, or that of a provider of Inspect."""
    name = settings.sandboxes.kind
    if name == "local":
        return _local
    theirs = offered.get(name)
    provider = theirs.provider if theirs is not None else inspect_provider(name)
    if provider is None:
        known = sorted({*offered, *registered()})
        raise NotReady(f"--agent-sandbox={name}: there is {joined((*SANDBOXES, *known))}")
    if settings.sandboxes.keep and provider not in KNOWN_PROVIDERS:
        raise NotReady(f"--agent-keep-sandbox cannot keep a sandbox of the provider {provider}: leave it out")
    if theirs is not None:
        return partial(_offered, theirs)
    return partial(_foreign, settings.sandboxes.default, provider)


def _offered(sandbox: OfferedSandbox, item: AgentItem) -> SandboxSpec:
    config = sandbox.configure(item.nodeid, item.options)
    return SandboxSpec(sandbox.provider, config, _name(item), (sandbox.note,) if sandbox.note else ())


def _foreign(default: str | None, provider: str, item: AgentItem) -> SandboxSpec:
    asked = [*_relaxations(item), *(["leftovers='stop'"] if item.options.leftovers == "stop" else ())]
    return foreign_spec(item, default, provider, asked, _name(item))


def _wish(item: AgentItem, settings: Settings) -> _Wish:
    root, wish = item.config.rootpath, item.options.sandbox
    try:
        choice = choose(wish, folder=item.path.parent, root=root, default=settings.sandboxes.default)
    except ChoiceError as error:
        who = item.nodeid if wish is not None else "agent_sandbox_default"
        raise NotReady(f"{who} {error}") from None
    if not isinstance(choice, ConfigFile) or is_dockerfile(choice.path.name):
        return _Wish(choice, Plan(ContainerConfig()))
    content = read_compose(choice.path)
    access = tuple(host_access(content))
    if access and not settings.sandboxes.allow_host_access:
        raise NotReady(
            f"{choice.path} gives containers access to this host by {', '.join(access)}; "
            "remove it, or add --agent-allow-host-access if you mean it"
        )
    plan = plan_compose(content)
    if plan.config is None:
        _refuse_changes(item, choice.path, plan.because)
    return _Wish(choice, plan, access)


def _refuse_changes(item: AgentItem, path: Path, because: str) -> None:
    if asked := _relaxations(item):
        raise NotReady(
            f"{item.nodeid} asks for {' and '.join(asked)}, and {path} is run by Docker Compose (because {because}): "
            "write it into that file"
        )


def _make_all_ready(wishes: Iterable[_Wish], say: Callable[[str], None]) -> dict[Choice, _Ready]:
    """Each sandbox once. Raises `SandboxSetupError` with what is missing for each one that is not available."""
    different = {wish.choice: wish for wish in wishes}
    return dict(zip(different, _each(lambda wish: _make_ready(wish, say), different.values()), strict=True))


def _each(make: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """The result for each thing. Raises `SandboxSetupError` with the sentences of all that failed."""
    made, lacking = [], []
    for thing in things:
        try:
            made.append(make(thing))
        except (DaemonGone, DaemonSilent):  # the others would fail in the same way
            raise
        except SandboxSetupError as error:
            lacking.append(str(error))
    if lacking:
        raise SandboxSetupError(" ".join(dict.fromkeys(lacking)))
    return made


def _make_ready(wish: _Wish, say: Callable[[str], None]) -> _Ready:
    choice, plan = wish.choice, wish.plan
    if isinstance(choice, BuiltInImage):
        name = ensure_image(choice.name, say).name
        return _Ready(ContainerConfig(image=name), present_image(name, say))
    if isinstance(choice, NamedImage):
        return _Ready(ContainerConfig(image=choice.image), present_image(choice.image, say))
    if plan.config is None:
        if "SAMPLE_METADATA_" not in choice.path.read_text("utf-8"):  # with these it may be complete only for a sample
            refuse_bad_compose(choice.path)
        pulled = (name for name in images_to_pull(read_compose(choice.path)) if not is_internal_image(name))
        _each(lambda name: present_image(name, say), pulled)
        return _Ready(None, because=plan.because)
    if is_dockerfile(choice.path.name):
        image = built_image(choice.path, say)
    elif plan.build:
        image = built_image(choice.path, say, service=plan.service, image=plan.config.image)
    else:
        assert plan.config.image is not None
        image = present_image(plan.config.image, say)
    because = own_program(image, command=plan.own_command)
    if because is not None:
        preflight(compose=True)
        return _Ready(None, because=because)
    return _Ready(plan.config.model_copy(update={"image": str(image["Id"])}), image)


def _spec(item: AgentItem, wish: _Wish, ready: _Ready, ours: bool) -> SandboxSpec:
    asked, notes = _relaxations(item), []
    if wish.access:
        notes.append(f"not isolated: {', '.join(wish.access)}")
    if ready.config is not None and ours:
        try:
            config = ContainerConfig(**{**ready.config.model_dump(), **asked})
        except ValidationError as error:
            raise NotReady(f"{item.nodeid}: {error.errors()[0]['msg']}") from None
        return SandboxSpec("agenteval", config, _name(item), tuple(notes))
    because = ready.because or f"the daemon is at {address()}"
    notes.append(f"sandbox: docker compose, because {because}")
    if isinstance(wish.choice, ConfigFile):
        _refuse_changes(item, wish.choice.path, because)
        return SandboxSpec("docker", wish.choice.path, _name(item), tuple(notes))
    assert ready.config is not None and ready.image is not None
    path = _as_compose_file(item, ready.config.image or "", ready.image)
    return SandboxSpec("docker", path, _name(item), tuple(notes))


def _told(spec: SandboxSpec, item: AgentItem) -> SandboxSpec:
    """The same for Docker Compose, whose files may use the metadata of an Inspect sample."""
    sample = item.plan.params.get(SAMPLE)
    if spec.provider != "docker" or not isinstance(sample, InspectSample):
        return spec
    return replace(spec, metadata=sample.metadata)


def _as_compose_file(item: AgentItem, name: str, image: Mapping[str, Any]) -> Path:
    """An image, hardened, for Inspect's provider `docker`."""
    asked, own = _relaxations(item), image.get("Config") or {}
    if "runtime" in asked:
        raise NotReady(
            f"{item.nodeid} asks for a runtime, which cannot be chosen for a daemon at {address()}: leave it out"
        )
    options: dict[str, Any] = {"user": own.get("User") or "root", "working_dir": own.get("WorkingDir") or "/"}
    folder = tempfile.TemporaryDirectory(prefix="agenteval-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "compose.yaml"
    path.write_text(default_compose(name, **(options | asked)), "utf-8")
    return path


def _check_runtimes(specs: Mapping[str, SandboxSpec | None]) -> None:
    wanted = {
        spec.config.runtime: nodeid
        for nodeid, spec in specs.items()
        if spec is not None and isinstance(spec.config, ContainerConfig) and spec.config.runtime is not None
    }
    if not wanted:
        return
    with connect() as daemon:
        known = sorted(daemon.info().get("Runtimes") or ())
    for runtime, nodeid in wanted.items():
        if runtime not in known and "." not in runtime:  # containerd looks up a name with dots as a program
            raise NotReady(
                f"{nodeid} asks for the runtime {runtime!r}, and Docker's daemon has {', '.join(known)}: "
                "install it there, or leave the option out"
            )


def _relaxations(item: AgentItem) -> dict[str, Any]:
    values = {name: getattr(item.options, name) for name in RELAXATIONS}
    return {name: value for name, value in values.items() if value is not None}


def _name(item: AgentItem) -> str:
    return item.nodeid.split("::")[0].removesuffix(".py").replace("/", "-")
