"""The fingerprint of a module that a task names without importing it: an agent program."""

# ruff: noqa: PTH100 (paths are text, as in reachable)
from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from pytest_agenteval.record.fingerprint.origins import version_of
from pytest_agenteval.record.fingerprint.parts import Fingerprint
from pytest_agenteval.record.fingerprint.reachable import Root, reached
from pytest_agenteval.record.fingerprint.syntax import digest_of

__all__ = ["module_fingerprint"]


def module_fingerprint(module: ModuleType, part: str, rootdir: Path) -> Fingerprint:
    """A digest of a module and everything it reaches in the suite, or of its installed version.

    Args:
        module: already loaded.
        part: the name of the digest, a noun that fits "... has changed".
        rootdir: source below it belongs to the suite, except for packages installed there.
    """
    root = Root(os.path.abspath(rootdir))
    own = None if module.__file__ is None else root.place(os.path.abspath(module.__file__))
    if own is not None:
        modules = reached({}, [own], root)
        return Fingerprint({part: digest_of(f"{name} {it}" for name, it in modules.digests.items())}, modules.doubts)
    package = module.__name__.partition(".")[0]
    version = version_of(package)
    doubts = () if version else (f"{module.__name__} lies outside {root.folder}, and its version is not known",)
    return Fingerprint({part: digest_of([f"{package} {version}"])}, doubts)
