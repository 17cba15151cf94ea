"""A Docker daemon of a test's own, that may be stopped and started without harm to anybody else's containers."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import docker

__all__ = ["PrivateDaemon"]


class PrivateDaemon:
    """A `dockerd` below `folder` (keep its path short: a socket's is at most 107 bytes). Needs root.

    It has a network namespace of its own: with `--bridge none` it would remove the bridge of the machine's daemon.
    Still it can be asked over the machine's network, by a `listener` made there; `options` say then how.
    """

    def __init__(self, folder: Path, *options: str, listener: socket.socket | None = None) -> None:
        self.folder = folder
        self._options, self._listener = options, listener
        self.address = f"unix://{folder}/d.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = (
            *("unshare", "--net", "dockerd", "--host", self.address, "--pidfile", f"{self.folder}/d.pid"),
            *("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec"),
            *("--bridge", "none", "--iptables=false", "--ip6tables=false", *self._options),
        )
        passed: tuple[int, ...] = ()
        if self._listener is not None:  # as systemd hands it over
            passed = (self._listener.fileno(),)
            activate = f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&{passed[0]}'
            command = ("bash", "-c", activate, "bash", *command, "--host", "fd://")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=passed)
        deadline = time.monotonic() + 60
        while not self._listens():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text("utf-8"))
            time.sleep(0.1)
        with closing(self.client()) as client:
            client.ping()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(self.address.removeprefix("unix://")) == 0

    def stop(self) -> None:
        """End it in an orderly way, with its containers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def client(self) -> docker.DockerClient:
        """A client of it; the caller closes it."""
        return docker.DockerClient(base_url=self.address, version="auto", timeout=60)
