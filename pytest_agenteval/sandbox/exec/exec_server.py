"""The exec server as the host sees it: the command that starts it in a container, and the program it is then sent.

The container's `python3` gets a one-line command that reads the program from its stdin, so that `ps` in the container
stays readable and nothing has to be copied in. The program is the modules of `inside/`, which are never imported here.
"""

from __future__ import annotations

import functools
from importlib import resources

__all__ = ["command", "program"]

_PACKAGE = "pytest_agenteval.sandbox.exec.inside"
_MODULES = ("wire", "commands", "files", "processes", "serve")

_LOADER = """\
import sys
for name, text in {modules!r}:
    module = sys.modules[name] = type(sys)(name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules[{main!r}].serve()
"""


@functools.cache
def program() -> bytes:
    """The program to write to the server's stdin before anything else."""
    folder = resources.files(_PACKAGE)
    modules = [(f"{_PACKAGE}.{name}", (folder / f"{name}.py").read_text("utf-8")) for name in _MODULES]
    return _LOADER.format(modules=modules, main=f"{_PACKAGE}.{_MODULES[-1]}").encode()


def command(python: str = "python3") -> list[str]:
    """The command that starts a server: isolated from the environment and from the user's site packages."""
    read = f"exec(open(0,'rb',closefd=False).read({len(program())}))  # pytest-agenteval exec server"
    return [python, "-I", "-S", "-c", read]
