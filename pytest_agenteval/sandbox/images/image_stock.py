"""The images that this package has made on a daemon: the list of them, and the removal of those that nothing needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_agenteval.sandbox.docker.daemon import DaemonRefused, connect
from pytest_agenteval.sandbox.images.images import BUILT_FROM, IMAGES

__all__ = ["OF_TASKS", "Pruned", "StoredImage", "prune", "stored", "stored_images"]

OF_TASKS = "a task's files"
"""What the label `images.BUILT_FROM` says of an image that a task's own files describe."""
_OURS = "agenteval/"
_REMOVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that this package made."""

    name: str
    """With its tag; the id if a later build took over the name."""
    size: int
    """Bytes; other images may share a part of them."""
    created: float
    """Seconds since the epoch."""
    built_from: str
    current: bool
    """Whether it is one of this version's own images, which the next run would build again."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What happened to the images that nothing needs."""

    removed: tuple[StoredImage, ...]
    in_use: tuple[StoredImage, ...]
    """Not removed, because a container or another image is based on them."""


def stored(images: Iterable[Mapping[str, Any]]) -> tuple[StoredImage, ...]:
    """Those among the engine's images that this package made; images that users made of them carry the label, too."""
    found = []
    for image in images:
        built_from = str((image.get("Labels") or {}).get(BUILT_FROM, ""))
        names = [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
        if not names and built_from == OF_TASKS:
            names = [str(image["Id"])]
        for name in names:
            if name.startswith((_OURS, "sha256:")):
                size, created = int(image["Size"]), float(image["Created"])
                found.append(StoredImage(name, size, created, built_from, name in IMAGES.values()))
    return tuple(sorted(found, key=lambda each: (not each.current, each.name)))


def stored_images() -> tuple[StoredImage, ...]:
    """What is there. Raises `SandboxSetupError`."""
    with connect() as daemon:
        return stored(daemon.images(BUILT_FROM))


def prune() -> Pruned:
    """Remove older versions of this package's images, and the images of tasks. Raises `SandboxSetupError`."""
    removed, in_use = [], []
    for image in stored_images():
        if image.current:
            continue
        try:
            with connect(_REMOVAL_SECONDS) as daemon:
                daemon.remove_image(image.name)
        except DaemonRefused:
            in_use.append(image)
        else:
            removed.append(image)
    return Pruned(tuple(removed), tuple(in_use))
