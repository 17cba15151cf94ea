"""`pytest-agenteval cleanup` and `pytest-agenteval images`: what sandboxes leave on Docker's daemon."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from pytest_agenteval.options.cli_values import checked
from pytest_agenteval.options.values import SECONDS, duration
from pytest_agenteval.record.figures import plural

if TYPE_CHECKING:
    from pytest_agenteval.sandbox.images.images import StoredImage

__all__ = ["add_cleanup", "add_images"]

IMAGES = ("default", "python")


def add_cleanup(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `cleanup`."""
    parser = commands.add_parser(
        "cleanup",
        allow_abbrev=False,
        help="remove sandboxes that were left on Docker's daemon, or in a cluster",
        description=(
            "Remove the sandboxes that dead processes of this machine have left. Every run does so by itself when it "
            "starts; this is for what a run does not touch."
        ),
        epilog=(
            "Sandboxes that Docker Compose runs are Inspect's: `inspect sandbox cleanup docker`. "
            "Exit status: 0, or 2 when Docker's daemon, or the cluster, cannot be asked."
        ),
    )
    parser.add_argument("--kept", action="store_true", help="those, too, that --agent-keep-sandbox has kept")
    parser.add_argument(
        "--all", action="store_true", help="every sandbox on the daemon, also of runs that go on and of other machines"
    )
    parser.add_argument(
        "--older-than",
        type=checked(duration),
        default=0.0,
        metavar="AGE",
        help="only those of at least this age: 30m, 2h, 1d",
    )
    parser.add_argument("--k8s", action="store_true", help="in a Kubernetes cluster, not on Docker's daemon")
    parser.add_argument("--context", metavar="NAME", help="with --k8s: the kubeconfig's context")
    parser.add_argument("--namespace", metavar="NAME", help="with --k8s: the namespace (default: the context's)")
    parser.set_defaults(run=_cleanup)


def add_images(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `images`."""
    parser = commands.add_parser(
        "images",
        allow_abbrev=False,
        help="list, build or remove the images of sandboxes",
        description="The images that pytest-agenteval makes on Docker's daemon.",
        epilog="Exit status: 0, or 2 when Docker's daemon cannot be asked or an image cannot be built.",
    )
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="the default action: what there is").set_defaults(run=_list)
    build = actions.add_parser("build", help="build an image that is missing, as the first run would")
    build.add_argument("name", choices=IMAGES)
    build.set_defaults(run=_build)
    prune = actions.add_parser("prune", help="remove older versions, and the images of tasks' own Dockerfiles")
    prune.set_defaults(run=_prune)


def _cleanup(asked: argparse.Namespace) -> int:
    import anyio

    from pytest_agenteval.errors import NotAvailable
    from pytest_agenteval.sandbox.exec.backend import EngineError

    try:
        if asked.k8s:
            removed = anyio.run(_remove_pods, asked)
        else:
            removed = anyio.run(_remove, asked.all, asked.kept, asked.older_than)
    except (NotAvailable, EngineError) as error:
        raise NotAvailable(f"sandboxes could not be looked for: {error}") from None
    print("1 sandbox removed" if removed == 1 else f"{removed} sandboxes removed")
    return 0


async def _remove(everything: bool, kept: bool, older_than: float) -> int:
    from pytest_agenteval.sandbox.docker import reaper
    from pytest_agenteval.sandbox.session import Session

    async with Session.current().used() as engine:
        if everything:
            return len(await reaper.remove_all(engine, older_than=older_than))
        removed = len(await reaper.reap(engine, older_than=older_than))
        if kept:
            removed += len(await reaper.remove_kept(engine, older_than=older_than))
        return removed


async def _remove_pods(asked: argparse.Namespace) -> int:
    from pytest_agenteval.sandbox.cluster.pods import PodConfig, require_extra

    require_extra("--k8s")
    from pytest_agenteval.sandbox.cluster import leases
    from pytest_agenteval.sandbox.cluster.session import ClusterSession

    where = PodConfig(context=asked.context, namespace=asked.namespace)
    async with (await ClusterSession.current(where)).used() as api:
        if asked.all:
            return len(await leases.remove_all(api, older_than=asked.older_than))
        removed = len(await leases.reap(api, older_than=asked.older_than))
        if asked.kept:
            removed += len(await leases.remove_kept(api, older_than=asked.older_than))
        return removed


def _list(asked: argparse.Namespace) -> int:
    from pytest_agenteval.sandbox.images.images import IMAGES as NAMES
    from pytest_agenteval.sandbox.images.images import stored_images

    found = stored_images()
    there = {image.name for image in found}
    for image in found:
        old = "" if image.current else ", not needed by this version" if "/task-" not in image.name else ", of a task"
        print(f"{image.name}  {_described(image)}{old}")
    for short, name in NAMES.items():
        if name not in there:
            print(f"{name}  missing: the first run that needs it builds it, or `pytest-agenteval images build {short}`")
    return 0


def _build(asked: argparse.Namespace) -> int:
    from pytest_agenteval.sandbox.images.images import ensure_image

    ready = ensure_image(asked.name, print)
    if not ready.built:
        print(f"{ready.name} is there, built from {ready.how}")
    return 0


def _prune(asked: argparse.Namespace) -> int:
    from pytest_agenteval.sandbox.images.images import prune

    done = prune()
    for image in done.removed:
        print(f"{image.name}  removed, {_described(image)}")
    for image in done.in_use:
        print(f"{image.name}  left: it is in use")
    print(f"{plural(len(done.removed), 'image')} removed")
    return 0


def _described(image: StoredImage) -> str:
    age = max(0.0, time.time() - image.created)
    unit = next((unit for unit in reversed(SECONDS) if age >= SECONDS[unit]), "s")
    return f"{image.size / 1e6:.0f} MB, {age // SECONDS[unit]:.0f}{unit} old, built from {image.built_from}"
