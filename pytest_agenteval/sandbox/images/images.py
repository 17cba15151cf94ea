"""The package's own images: their names, how they are made, and the removal of those that nothing needs any more.

A name carries a hash over what defines the image, so a changed definition is a new image and an unchanged one is
built once. Two ways lead to it: its Dockerfile, where a registry answers, else this host's Debian packages.
Several processes may build at once: the daemon gives a name to a finished image only, and the last one keeps it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from pytest_agenteval.sandbox.docker.address import address
from pytest_agenteval.sandbox.docker.daemon import DaemonRefused, DaemonSilent, SandboxSetupError, connect
from pytest_agenteval.sandbox.images import dpkg, host_image
from pytest_agenteval.sandbox.images.apt import AptFailed
from pytest_agenteval.sandbox.images.host_image import NoHostImage

__all__ = [
    "BUILT_FROM", "BUILT_IN", "DEFAULT_IMAGE", "IMAGES", "OF_TASKS", "BuiltIn", "ImageReady", "Pruned",
    "StoredImage", "Way", "definition", "ensure", "ensure_default_image", "ensure_image", "from_dockerfile",
    "from_host", "prune", "stored", "stored_images",
]  # fmt: skip

BUILT_FROM = "pytest-agenteval.built-from"
"""Every image that this package makes carries this label; its value says what it was made from."""
OF_TASKS = "a task's files"
"""What the label says of an image that a task's own files describe."""
_OURS = "agenteval/"
_REGISTRY_SECONDS = 10.0
_BUILD_SECONDS = 600.0
_REMOVAL_SECONDS = 60.0
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "ppc64el": "ppc64le"}  # Debian's -> the kernel's
_FINISH = """
python3 -m compileall -q /usr/lib/python3* > /dev/null || true
python3 -c 'import ctypes, json, sqlite3, ssl'
for command in awk diff find git grep ps sed tar which; do command -v $command > /dev/null; done
git --version > /dev/null
ps > /dev/null
"""
"""Run as root in the imported image: byte code (without it Python starts five times slower), and a try of its tools."""


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """An image whose Dockerfile is in `sandboxes/`; here is how to make the same from a Debian host's packages."""

    name: str
    packages: tuple[str, ...] = ()
    """Debian packages beside those that every image has."""
    without: tuple[str, ...] = ()
    """Packages that others depend on and the image does without."""
    finish: str = ""
    """A shell script that root runs in the image: what packages' own scripts would do, and a try of what is in it."""


_LIBRARIES = """
for library in blas lapack; do
    for file in /usr/lib/*/$library/lib$library.so.3; do ln -sf "$file" "${file%/*/*}/lib$library.so.3"; done
done
ldconfig
"""
_TRY = """
MPLBACKEND=Agg MPLCONFIGDIR=/tmp/matplotlib python3 -c '
import numpy, pandas, scipy.stats, scipy.optimize
import matplotlib.pyplot as pyplot
pyplot.plot(numpy.linalg.inv(numpy.eye(2)))
pyplot.savefig("/tmp/plot.png")
pandas.DataFrame({"a": [1]}).describe()
'
rm -r /tmp/plot.png /tmp/matplotlib
"""

BUILT_IN = {
    "default": BuiltIn("default"),
    "python": BuiltIn(
        "python",
        packages=("python3-numpy", "python3-pandas", "python3-scipy", "python3-matplotlib"),
        # what compiles Python, and what draws into windows: half a gigabyte with all it brings along
        without=("python3-pythran", "python3-sympy", "python3-tk", "python3-pil.imagetk", "libjs-jquery-ui"),
        finish=_LIBRARIES + _TRY,
    ),
}
"""By name."""


@dataclass(frozen=True, slots=True)
class ImageReady:
    """An image that sandboxes can be started from."""

    name: str
    id: str
    """The daemon's id (`sha256:...`): which of the images of that name it was."""
    built: bool
    """Whether it was built just now."""
    how: str
    """What it was built from, as its label says."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to build an image."""

    source: str
    """What it builds from, in words."""
    build: Callable[[str], None]
    """Build the image of that name. Raises `SandboxSetupError` or `NoHostImage` where this way is closed."""


def definition(name: str) -> Path:
    """The folder with the Dockerfile of one of the package's images, in a checkout or in an installed package."""
    package = Path(__file__).resolve().parents[2]
    folders = (package / "sandboxes_data" / name, package.parent / "sandboxes" / name)
    for folder in folders:
        if (folder / "Dockerfile").is_file():
            return folder
    raise SandboxSetupError(f"The image {name!r} is not defined at {folders[0]}: reinstall pytest-agenteval.")


def _tagged(image: BuiltIn) -> str:
    digest = hashlib.sha256(repr(image).encode())
    for file in (definition(image.name) / "Dockerfile", dpkg.__file__, host_image.__file__):
        digest.update(Path(str(file)).read_bytes())
        digest.update(b"\0")
    return f"agenteval/{image.name}:{digest.hexdigest()[:12]}"


IMAGES = {name: _tagged(image) for name, image in BUILT_IN.items()}
"""The names of this version's images, by their short names."""
DEFAULT_IMAGE = IMAGES["default"]


def from_dockerfile(name: str, folder: Path) -> None:
    """Build the image from a Dockerfile. Raises `SandboxSetupError` when no registry has its base or it fails."""
    stages = re.findall(r"^FROM\s+(\S+)", (folder / "Dockerfile").read_text("utf-8"), re.MULTILINE | re.IGNORECASE)
    for base in stages:
        refusal = None if base == "scratch" else _registry_refusal(address(), base)
        if refusal:
            raise SandboxSetupError(refusal)
    with connect(_BUILD_SECONDS) as daemon:
        daemon.build(folder, name, {BUILT_FROM: "Dockerfile"})


@cache
def _registry_refusal(daemon_address: str, base: str) -> str | None:
    """Why the daemon at that address cannot get the base image; None if it can. Checked once per process."""
    try:
        with connect(_REGISTRY_SECONDS) as daemon:
            if daemon.image(base) is None:
                daemon.ask_registry(base)
    except (DaemonRefused, DaemonSilent) as error:
        return f"no registry gave {base} ({str(error).rstrip('.')})"
    return None


def from_host(name: str, host: host_image.Host | None = None, image: BuiltIn = BUILT_IN["default"]) -> None:
    """Build an image from this host's packages.

    Raises `NoHostImage` if the host cannot provide it, `SandboxSetupError` if the result does not work.
    """
    with tempfile.TemporaryDirectory(prefix="agenteval-image-") as folder:
        tar = Path(folder) / "image.tar"
        try:
            architecture = host_image.write_tar(tar, host, also=image.packages, without=image.without)
        except (OSError, AptFailed) as error:
            raise NoHostImage(f"this host's packages could not be packed: {error}") from error
        with connect(_BUILD_SECONDS) as daemon:
            machine, daemons = _MACHINES.get(architecture, architecture), str(daemon.info()["Architecture"])
            if machine != daemons:
                raise NoHostImage(f"this host's packages are for {machine}, and the daemon's machine is {daemons}")
            changes = (*host_image.CHANGES, f'LABEL {BUILT_FROM}="packages of the host"')
            bare = daemon.import_tar(tar, changes)
            daemon.finish(bare, _FINISH + image.finish, name, changes, seconds=int(_BUILD_SECONDS))


def ensure_default_image(say: Callable[[str], None]) -> ImageReady:
    """The default image, built if it is missing; see `ensure_image`."""
    return ensure_image("default", say)


def ensure_image(image: str, say: Callable[[str], None]) -> ImageReady:
    """One of `IMAGES`, by its short name, built if it is missing.

    `say` gets a line before a build begins and one when it is done. Raises `SandboxSetupError` when no way leads to it.
    """
    dockerfile = Way("its Dockerfile", partial(from_dockerfile, folder=definition(image)))
    packages = Way("this host's packages", partial(from_host, image=BUILT_IN[image]))
    return ensure(IMAGES[image], (dockerfile, packages), say)


def ensure(name: str, ways: Sequence[Way], say: Callable[[str], None]) -> ImageReady:
    """The image of that name, built if it is missing, in the first way that is open."""
    present = _find(name, built=False)
    if present is not None:
        return present
    say(f"sandbox image {name} is missing: building it, once")
    closed = []
    for way in ways:
        start = time.monotonic()
        try:
            way.build(name)
        except (SandboxSetupError, NoHostImage) as error:
            closed.append(f"from {way.source}: {str(error).rstrip('.')}")
            continue
        ready = _find(name, built=True)
        if ready is not None:
            say(f"sandbox image {name} built from {way.source} in {time.monotonic() - start:.0f} s")
            return ready
        closed.append(f"from {way.source}: it was gone after the build")
    raise SandboxSetupError(
        f"The sandbox image {name} cannot be built ({'; '.join(closed)}): give this machine a registry, "
        "or `docker load` the image here from one that has it."
    )


def _find(name: str, *, built: bool) -> ImageReady | None:
    with connect() as daemon:
        image = daemon.image(name)
    if image is None:
        return None
    labels = image["Config"].get("Labels") or {}
    return ImageReady(name, str(image["Id"]), built, str(labels.get(BUILT_FROM, "unknown")))


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
