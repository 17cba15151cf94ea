"""Chooses a task's sandbox: the one its mark names, else the file beside its suite, else the run's default.

A mark or a default names a sandbox in one of these ways, which cannot be mistaken for each other:

    image:python:3.12-slim      an image
    envs/Dockerfile             a path (it has a `/`, or is the name of a compose file or Dockerfile), or its folder
    gpu                         `sandboxes/gpu/` in the suite's folder or one above it, up to the rootdir
    default, python             the same, else one of this package's own images
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_agenteval.sandbox.images.images import BUILT_IN, definition

__all__ = [
    "CONFIG_FILES", "BuiltInImage", "Choice", "ChoiceError", "ConfigFile", "NamedImage", "choose", "is_dockerfile",
]  # fmt: skip

CONFIG_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml", "Dockerfile")
"""In this order, as Inspect looks for them."""
_FOLDER = "sandboxes"
_IMAGE = "image:"


class ChoiceError(Exception):
    """There is no such sandbox. The message is a sentence without its subject: `names ..., and ...`."""


@dataclass(frozen=True, slots=True)
class BuiltInImage:
    """One of this package's own images."""

    name: str


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image of the daemon or of a registry."""

    image: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A compose file or a Dockerfile."""

    path: Path


Choice = BuiltInImage | NamedImage | ConfigFile


def choose(
    wish: str | None,
    *,
    folder: Path,
    root: Path,
    default: str | None = None,
    files: Sequence[str] = CONFIG_FILES,
) -> Choice:
    """The sandbox of a task: the `wish` of its mark, or the run's default. Checks which files exist, but reads none.

    `folder` is that of the test file, to which its paths are relative; those of the default are relative to `root`,
    pytest's rootdir. `files` are the names of the files that describe a sandbox, the first wins. Raises `ChoiceError`:
    the named sandbox does not exist.
    """
    if wish is not None:
        return _named(wish, folder, folder, root, files)
    beside = _config_in(folder, files)
    if beside is not None:
        return ConfigFile(beside)
    return BuiltInImage("default") if default is None else _named(default, root, folder, root, files)


def is_dockerfile(name: str) -> bool:
    """Whether a file of that name is a Dockerfile: `Dockerfile`, `Dockerfile.gpu`, `gpu.Dockerfile`."""
    return Path(name).stem == "Dockerfile" or Path(name).suffix == ".Dockerfile"


def _named(text: str, base: Path, folder: Path, root: Path, files: Sequence[str]) -> Choice:
    if text.startswith(_IMAGE):
        image = text.removeprefix(_IMAGE)
        if not image or image != image.strip():
            raise ChoiceError(f"names {text!r}, which has no image's name: write for example image:python:3.12-slim")
        return NamedImage(image)
    if "/" in text or text.endswith((".yaml", ".yml")) or is_dockerfile(text):
        return ConfigFile(_file(text, base, files))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", text):
        raise ChoiceError(f"names {text!r}, which is no name of a sandbox: for an image write image:{text}")
    return _by_name(text, folder, root, files)


def _file(text: str, base: Path, files: Sequence[str]) -> Path:
    path = base / text
    if path.is_dir():
        found = _config_in(path, files)
        if found is None:
            raise ChoiceError(f"names {text!r}, and that folder has no {_either(files)}")
        return found
    if not path.is_file():
        raise ChoiceError(f"names {text!r}, and there is no file {path}: for an image write image:{text}")
    if path.name not in files and path.suffix not in (".yaml", ".yml") and not is_dockerfile(path.name):
        raise ChoiceError(f"names {text!r}, which is called neither as a compose file (.yaml) nor as a Dockerfile")
    return path


def _by_name(name: str, folder: Path, root: Path, files: Sequence[str]) -> Choice:
    above = [folder, *folder.parents]
    looked_in = above[: above.index(root) + 1] if root in above else [folder]
    for place in looked_in:
        found = _config_in(place / _FOLDER / name, files)
        if found is not None:
            own = name in BUILT_IN and found.parent.resolve() == definition(name)
            return BuiltInImage(name) if own else ConfigFile(found)
    if name in BUILT_IN:
        return BuiltInImage(name)
    raise ChoiceError(
        f"names the sandbox {name!r}, and neither {folder} nor a folder above it has {_FOLDER}/{name}/ with a "
        f"{_either(files)}, nor is it one of {', '.join(BUILT_IN)}: for an image write image:{name}"
    )


def _config_in(folder: Path, files: Sequence[str]) -> Path | None:
    return next((folder / name for name in files if (folder / name).is_file()), None)


def _either(files: Sequence[str]) -> str:
    """In words: not every spelling of a compose file's name."""
    return " or ".join(name for name in files if "compose" not in name or name == "compose.yaml") or "file of its own"
