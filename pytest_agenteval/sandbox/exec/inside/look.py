"""Tells what an image is like, and whom its network reaches: in the message that a container leaves when it ends.

Argument: for how many seconds to wait until nobody is reached; negative to leave the network alone.
"""

# Plain `os`: fewer modules to load, so a pod starts faster.
# ruff: noqa: PTH109, PTH123

from __future__ import annotations

import os
import sys
import time

__all__ = ["look"]


def reached(addresses: list[tuple[str, str, int]]) -> list[str]:
    """Those that accept a connection."""
    import socket  # which an image may lack that leaves the network alone

    found = []
    for what, host, port in addresses:
        try:
            socket.create_connection((host, port), 1.0).close()
            found.append(what)
        except OSError:
            pass
    return found


def addresses() -> list[tuple[str, str, int]]:
    """Whom a pod without a network must not reach: the API server, the name server, and its own node's kubelet."""
    found = []
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        port = int(os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        found.append(("the API server", os.environ["KUBERNETES_SERVICE_HOST"], port))
    try:
        with open("/etc/resolv.conf") as file:
            words = [line.split() for line in file]
        found += [("the name server", line[1], 53) for line in words if len(line) > 1 and line[0] == "nameserver"]
    except OSError:
        pass
    if "AGENTEVAL_NODE" in os.environ:
        found.append(("its node", os.environ["AGENTEVAL_NODE"], 10250))
    return found


def look(patience: float) -> dict[str, str]:
    """What there is to tell, by name; several things are divided by commas."""
    try:
        import pwd

        name = pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        name = str(os.getuid())
    told = {"user": name, "cwd": os.getcwd(), "version": ".".join(map(str, sys.version_info[:2]))}
    if patience >= 0:
        asked, latest = addresses(), time.monotonic() + patience
        found = reached(asked)
        while found and time.monotonic() < latest:
            time.sleep(0.5)
            found = reached(asked)
        told["reached"] = ",".join(found)
    return told


if __name__ == "__main__":
    with open("/dev/termination-log", "w") as file:
        file.write("\n".join(name + "=" + value for name, value in look(float(sys.argv[1])).items()))
