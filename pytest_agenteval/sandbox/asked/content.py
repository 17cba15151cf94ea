"""A digest of the content of a compose file or Dockerfile: the file, what it builds from, and the images it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_agenteval.sandbox.asked.choice import is_dockerfile
from pytest_agenteval.sandbox.asked.compose_plan import ComposeFileError, read_compose
from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect

__all__ = ["Content", "content_of"]

_MOST_FILES = 5000
_MOST_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """The content that a sandbox is made from."""

    digest: str
    doubt: str | None = None
    """Why the digest may be incomplete, in a sentence."""


def content_of(file: Path) -> Content:
    """The digest of a compose file or Dockerfile with its build contexts and the ids of the images that it names."""
    digest = hashlib.sha256(file.read_bytes())
    try:
        content = {} if is_dockerfile(file.name) else read_compose(file)
        contexts = [file.parent] if is_dockerfile(file.name) else list(_contexts(file, content))
        for path in _read(contexts, file):
            digest.update(f"{path.relative_to(file.parent) if path.is_relative_to(file.parent) else path}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        for name in _images(content.get("services") or {}):
            digest.update(f"{name}\0{_image_id(name)}\0".encode())
    except (ComposeFileError, SandboxSetupError, OSError, _Unknown) as error:
        return Content(digest.hexdigest()[:16], f"{file.name}: {error}")
    return Content(digest.hexdigest()[:16])


class _Unknown(Exception):
    """Something cannot be digested."""


def _contexts(file: Path, content: Mapping[str, Any]) -> Iterator[Path]:
    """The folders and files that services are built from or receive; unknown if one cannot be named."""
    for key in ("include", "configs", "secrets"):
        if content.get(key):
            raise _Unknown(f"what `{key}` brings in is not compared")
    for service in filter(None, (content.get("services") or {}).values()):
        if "extends" in service:
            raise _Unknown("what `extends` brings in is not compared")
        build, env = service.get("build"), service.get("env_file") or []
        context = build.get("context", ".") if isinstance(build, Mapping) else build
        listed = [env] if isinstance(env, str | Mapping) else env
        files = [each.get("path") if isinstance(each, Mapping) else each for each in listed]
        mounted = [source for volume in service.get("volumes") or [] if (source := _of_host(volume)) is not None]
        for named in [*([context] if context is not None else []), *files, *mounted]:
            place = file.parent / str(named)
            if "://" in str(named) or not place.exists():
                raise _Unknown(f"what {named} holds cannot be told")
            yield place


def _of_host(volume: Any) -> str | None:
    """The host's path that a volume mounts, or None if it is one of Docker's volumes."""
    if isinstance(volume, Mapping):
        return str(volume.get("source")) if volume.get("type") == "bind" else None
    source, colon, _ = str(volume).partition(":")
    return source if colon and source.startswith((".", "/", "~")) else None


def _read(contexts: list[Path], file: Path) -> list[Path]:
    found: set[Path] = set()
    size = 0
    for context in contexts:
        for path in [context] if context.is_file() else context.rglob("*"):
            if path == file or not path.is_file() or "__pycache__" in path.parts or ".git" in path.parts:
                continue
            found.add(path)
            size += path.stat().st_size
            if len(found) > _MOST_FILES or size > _MOST_BYTES:
                raise _Unknown(f"{context} is too large to be compared")
    return sorted(found)


def _images(services: Mapping[str, Any]) -> list[str]:
    named = [s.get("image") for s in services.values() if isinstance(s, Mapping) and not s.get("build")]
    return sorted({str(name) for name in named if name})


def _image_id(name: str) -> str:
    with connect() as daemon:
        found = daemon.image(name)
    if found is None:
        raise _Unknown(f"the image {name} is not there yet")
    return str(found["Id"])
