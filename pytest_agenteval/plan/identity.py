"""What defines a task: its code, options, sandbox, image, scaffold and model, each as a digest.

A stored attempt is an attempt at this task only if all of it is the same.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from pytest_agenteval.collect.fixtures import NAMES
from pytest_agenteval.collect.items import AgentItem
from pytest_agenteval.engine.sandboxes.places import SandboxSpec
from pytest_agenteval.options.settings import Settings
from pytest_agenteval.record.confidence import VERSION
from pytest_agenteval.record.digest import digest
from pytest_agenteval.record.fingerprint import Fingerprint, conftests_above, fingerprint, module_fingerprint
from pytest_agenteval.record.fingerprint.origins import version_of
from pytest_agenteval.record.outcomes import RULES
from pytest_agenteval.record.stored import StoredTask
from pytest_agenteval.sandbox.asked.content import content_of
from pytest_agenteval.sandbox.cluster.pods import PodConfig
from pytest_agenteval.sandbox.docker.containers import ContainerConfig
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError
from pytest_agenteval.sandbox.session import Session

__all__ = ["identify"]

_PLACE = ("context", "namespace")
"""Where a pod runs does not make it another one."""
_LIMITS = ("max_cost", "time_limit", "token_limit", "turn_limit")


async def identify(
    settings: Settings, items: Sequence[AgentItem], sandboxes: Mapping[str, SandboxSpec | None]
) -> list[StoredTask]:
    """Every task as it is now. Call it on the loop that runs the sandboxes, after they were prepared."""
    images: dict[int, tuple[dict[str, str], tuple[str, ...]]] = {}
    found = []
    for item in items:
        spec = sandboxes[item.nodeid]
        if id(spec) not in images:
            images[id(spec)] = await _sandbox(spec)
        where, doubts = images[id(spec)]
        code, program = _code(item), _program(item)
        options = dataclasses.asdict(item.options)
        del options["rules"], options["variants"]
        rules = {"its rules": _digest([repr(rule) for rule in item.rules])} if item.rules else {}
        variant = item.perturbation
        perturbed = {} if variant is None else {"its perturbation": _digest(variant.identity)}
        if options["resources"] is None:  # an option that older versions did not have
            del options["resources"]
        del options["min_pass_rate"], options["holdout"]  # they say when it runs and how it is judged, not what it is
        found.append(
            StoredTask(
                task=item.nodeid,
                cell=item.cell,
                min_pass_rate=item.options.min_pass_rate,
                notes=item.notes,
                source=item.source,
                identity={
                    **code.parts,
                    **where,
                    **program.parts,
                    "its options": _digest(options),
                    **rules,
                    **perturbed,
                    "the scaffold": _digest(_scaffold(item.cell.scaffold, settings)),
                    "the model": _digest([item.cell.model, settings.agents.model_setup]),
                    "the model of another role": _digest(settings.agents.roles),
                    "the rules for outcomes": RULES,
                    **({"the question how sure the agent is": VERSION} if settings.agents.ask_confidence else {}),
                },
                doubts=(*code.doubts, *program.doubts, *doubts),
                limits={name: options[name] for name in _LIMITS},
                expected_failure=item.expects_failure,
                strict=item.strict,
                held_out=item.options.held_out,
                name=item.task_name,
                perturbed=item.perturbed,
            )
        )
    return found


def _code(item: AgentItem) -> Fingerprint:
    root = item.config.rootpath
    definitions = [item.plan.definitions[name][level] for name, level in sorted(item.plan.reached)]
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return fingerprint(
        item.obj,
        rootdir=root,
        conftests=conftests_above(item.path, root),
        files=item.options.files,
        fixtures=[definition.func for definition in definitions if not definition.ours],
        parameters={name: value for name, value in item.plan.params.items() if name not in NAMES},
        file=item.path,
        name=".".join([*classes, item.originalname]),
    )


def _program(item: AgentItem) -> Fingerprint:
    """The module of a scaffold that is named `module:attribute`."""
    module = sys.modules.get(item.cell.scaffold.partition(":")[0]) if ":" in item.cell.scaffold else None
    return Fingerprint({}) if module is None else module_fingerprint(module, "the agent's code", item.config.rootpath)


def _scaffold(name: str, settings: Settings) -> list[Any]:
    """Its name and arguments, and the versions of the packages that may define it."""
    arguments = [pair for pair in settings.agents.scaffold_args if ":" not in pair[0] or pair[0].startswith(f"{name}:")]
    package = name.partition("/")[0] if "/" in name else None
    versions = [version("pytest-agenteval"), version("inspect-ai"), package and version_of(package)]
    return [name, arguments, versions]


async def _sandbox(spec: SandboxSpec | None) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parts that concern a sandbox, and the doubts about them."""
    if spec is None:
        return {}, ()
    if isinstance(spec.config, ContainerConfig):
        try:
            image = await _image(spec.config)
        except SandboxSetupError as error:
            return {}, (str(error),)
        shape = spec.config.model_dump(mode="json", exclude={"image", *_PLACE})
        return {"its sandbox": _digest([spec.provider, shape]), "its image": image}, ()
    if isinstance(spec.config, Path):
        content = await asyncio.to_thread(content_of, spec.config)
        doubts = (content.doubt,) if content.doubt else ()
        return {
            "its sandbox": _digest(spec.provider),
            "its compose file, or what that builds from,": content.digest,
        }, doubts
    return {"its sandbox": _digest(spec.provider)}, ()


async def _image(config: ContainerConfig) -> str:
    if not isinstance(config, PodConfig):
        return (await Session.current().image(config)).digest
    from pytest_agenteval.sandbox.cluster.session import ClusterSession  # which needs the extra `k8s`

    return (await (await ClusterSession.current(config)).image(config)).digest


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return digest(text)
