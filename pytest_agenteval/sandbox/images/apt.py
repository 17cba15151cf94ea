"""Debian packages that a host lacks: downloaded by apt as it would install them, and opened; nothing on it changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["AptFailed", "control", "download", "files"]

_SECONDS = 300


class AptFailed(Exception):
    """apt did not give the packages; the message is its own last word."""


def download(names: Sequence[str], *, status: Path, folder: Path) -> dict[str, Path]:
    """What apt would install to have `names` where dpkg's status file is `status`: the package files, by name.

    They and all else that apt writes are put into the empty `folder`. Raises `AptFailed`.
    """
    archives, lists = folder / "archives", folder / "lists"
    for each in (archives, lists):
        (each / "partial").mkdir(parents=True)
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::Cache "{folder}"; Dir::Cache::archives "{archives}"; Dir::State::status "{status}";\n'
        'Debug::NoLocking "true"; APT::Sandbox::User "root"; APT::Install-Recommends "false";\n'
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
    )
    apt = ("apt-get", "-c", str(config), "-qq", "--yes")
    afresh = ("-o", f"Dir::State::lists={lists}")
    try:
        try:
            _run(*apt, "--download-only", "install", *names)
        except AptFailed:  # the host's package lists are absent or too old
            for deb in archives.glob("*.deb"):
                deb.unlink()
            _run(*apt, *afresh, "update")
            _run(*apt, *afresh, "--download-only", "install", *names)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AptFailed(str(error)) from error
    return {_run("dpkg-deb", "--field", str(deb), "Package").strip(): deb for deb in sorted(archives.glob("*.deb"))}


def control(deb: Path) -> str:
    """The control fields of a package file. Raises `AptFailed`."""
    return _run("dpkg-deb", "--field", str(deb))


def files(deb: Path) -> Path:
    """A tar, beside the package file, of the files it would install. Raises `AptFailed`."""
    tar = deb.with_suffix(".tar")
    _run("sh", "-c", 'dpkg-deb --fsys-tarfile "$0" > "$1"', str(deb), str(tar))
    return tar


def _run(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS, env=environment, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise AptFailed(f"{command[0]}: {lines[-1]}")
    return done.stdout
