"""What the tests' own processes need: no traces of this session, a Ctrl-C that works, and a place for each module.

With xdist's `-n 2` the tests of a module run in one process, one after the other.
"""

from __future__ import annotations

import compileall
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy  # noqa: F401  pytester forgets what a test loads, and NumPy before 2.1 warns when it is loaded twice
import pytest
from support.warm_python import warm_python

CI_RUN = ("GITHUB_RUN_ID", "CI_PIPELINE_ID", "BUILD_TAG", "JOB_NAME")
for name in [name for name in os.environ if name.startswith("PYTEST_XDIST") or name in CI_RUN]:
    del os.environ[name]  # the runs that tests make are not of this session, nor of this CI run
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts these tests in the background has them ignore Ctrl-C, and all that they start with them
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "pytest_agenteval"
ORDER = ("kubernetes", "docker", "plugin", "compat", "unit")
"""The longest modules begin first, so that no process waits for another at the end."""
TOGETHER = {
    *("test_images", "test_resume_in_docker", "test_sandbox_choice_docker"),  # one removes the images without a name
    *("test_autopsy", "test_traps_daemon"),  # these, and the resumed runs, stop one daemon of the tests' own
}
"""Docker's modules that would disturb each other: they run in one process. The others touch only what is theirs."""
IN_THE_CLUSTER = {
    *("test_asked", "test_deaths", "test_losses", "test_pods", "test_registry"),  # which some of them break
    *("test_hostile", "test_provider_cancellation", "test_provider_contract", "test_provider_selfcheck"),
}
"""There is one cluster: these run in one process, too."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile the package once: with PYTHONDONTWRITEBYTECODE each of a thousand processes would do it."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(PACKAGE, quiet=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> tuple[int, bool]:
        part = item.path.relative_to(TESTS.parent).parts[1]
        return ORDER.index(part) if part in ORDER else len(ORDER), item.path.stem not in TOGETHER | IN_THE_CLUSTER

    if hasattr(config, "workerinput"):
        items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.split("::")[0]
            stem = Path(module).stem
            return "together" if stem in TOGETHER else "in the cluster" if stem in IN_THE_CLUSTER else module

    config.option.loadscopereorder = False  # not by the number of their tests
    return ByModule(config, log)


@pytest.fixture(scope="module")
def warm_children() -> Iterator[None]:
    """What this module's tests start as `sys.executable` has imported Inspect already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", warm_python())
        yield
