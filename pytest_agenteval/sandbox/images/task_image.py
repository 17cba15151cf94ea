"""The image of a task's own Dockerfile or compose file, built by Docker Compose, as Inspect does it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_agenteval.sandbox.docker.daemon import SandboxSetupError, connect
from pytest_agenteval.sandbox.images.images import BUILT_FROM, DEFAULT_IMAGE, OF_TASKS, ensure_default_image

__all__ = ["DEFAULT_IMAGE_ARGUMENT", "built_image", "present_image", "task_image_name"]

DEFAULT_IMAGE_ARGUMENT = "AGENTEVAL_DEFAULT"
"""A Dockerfile that begins `ARG AGENTEVAL_DEFAULT` and `FROM ${AGENTEVAL_DEFAULT}` builds on the default image."""

_PULL_SECONDS = 600.0  # the longest silence


def task_image_name(file: Path) -> str:
    """The name of the image that a file gives: one per file, so that a new build takes the place of the last."""
    folder = re.sub(r"[^a-z0-9]+", "-", file.resolve().parent.name.lower()).strip("-") or "root"
    return f"agenteval/task-{folder}:{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}"


def built_image(
    file: Path, say: Callable[[str], None], *, service: str | None = None, image: str | None = None
) -> Mapping[str, Any]:
    """Build what a Dockerfile, or a service of a compose file, describes; returns the engine's description of it.

    The builder's cache makes this quick if nothing has changed; only a new image is announced. `image` is the name that
    the compose file gives it. Raises `SandboxSetupError` with the build's own last output.
    """
    name, start = image or task_image_name(file), time.monotonic()
    with connect() as daemon:
        before = daemon.image(name)
    build: dict[str, Any] = {"labels": {BUILT_FROM: OF_TASKS}}
    if service is None:
        build |= {"context": str(file.parent.resolve()), "dockerfile": file.name}
        if DEFAULT_IMAGE_ARGUMENT in file.read_text("utf-8"):
            ensure_default_image(say)
            build["args"] = {DEFAULT_IMAGE_ARGUMENT: DEFAULT_IMAGE}
    with tempfile.TemporaryDirectory(prefix="agenteval-build-") as folder:
        added = Path(folder) / "compose.json"  # JSON is YAML
        added.write_text(json.dumps({"services": {service or "default": {"image": name, "build": build}}}), "utf-8")
        files = [file, added] if service is not None else [added]
        where = ("--project-directory", str(file.parent.resolve()), "--project-name", "agenteval")
        command = ("docker", "compose", *where, *(word for each in files for word in ("--file", str(each))), "build")
        try:
            done = subprocess.run(
                (*command, service or "default"), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            )
        except OSError as error:
            raise SandboxSetupError(f"{file} cannot be built ({error}): install the Docker command line.") from error
    if done.returncode != 0:
        by_hand = ("build", "--file", str(file), str(file.parent))
        by_hand = by_hand if service is None else ("compose", "--file", str(file), "build")
        raise SandboxSetupError(
            f"{file} cannot be built ({_last_words(done.stderr)}): try `{shlex.join(('docker', *by_hand))}`."
        )
    with connect() as daemon:
        found = daemon.image(name)
    if found is None:
        raise SandboxSetupError(f"{file} was built, but its image {name} is gone: run again.")
    if before is None or before["Id"] != found["Id"]:
        say(f"sandbox image of {file} built in {time.monotonic() - start:.0f} s")
    return found


def present_image(name: str, say: Callable[[str], None]) -> Mapping[str, Any]:
    """The engine's description of an image, pulled if the daemon lacks it. Raises `SandboxSetupError`."""
    with connect() as daemon:
        found = daemon.image(name)
        if found is not None:
            return found
    say(f"sandbox image {name} is missing: pulling it, once")
    try:
        with connect(_PULL_SECONDS) as daemon:
            daemon.pull(name)
            found = daemon.image(name)
    except SandboxSetupError as error:
        raise SandboxSetupError(
            f"The image {name} is not on Docker's daemon and could not be pulled ({str(error).rstrip('.')}): build it, "
            f"or try `docker pull {name}`."
        ) from error
    if found is None:
        raise SandboxSetupError(f"The image {name} was pulled and is gone: try `docker pull {name}`.")
    return found


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip(" -")]
    told = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return (told or lines or ["no reason given"])[-1].rstrip(".")[:300]
