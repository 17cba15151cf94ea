from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from support.import_graph import circles, floors, module_graph, room, room_graph
from support.imports import Module, modules

PACKAGE = "pytest_agenteval"
ROOT = Path(__file__).parents[3] / PACKAGE

ORDER = (
    # what everybody may know
    "errors", "texts", "redaction", "hookspecs", "plugins",
    # what is kept of an attempt, the numbers made of it, the verdicts made of those: pure
    "record", "estimate", "judge",
    # what attempts need
    "money", "sandbox",
    # from what the user asked for to the attempts
    "options", "collect", "run", "engine", "plan",
    # what readers see
    "report",
    # who drives the steps: pytest's hooks, and the console script
    "session", "plugin", "check", "builder", "cli",
)  # fmt: skip
"""The folders of the package from left to right: a module imports only from its own folder and from those left of it.

At run time data flows collect, plan, run, record, estimate, judge, report. Imports point from what drives a step to
what the step is made of, so the pure steps stand on the left.
"""

PURE = (
    "errors", "texts", "redaction", "record", "estimate", "judge", "report.eee",
    "money.rates", "money.estimate", "money.price_file", "money.budget", "money.tabs", "engine.models.provider_table",
    "check.plays", "check.states", "check.rules", "check.facts", "check.findings", "check.judging", "check.table",
    "check.pins", "check.alike", "check.history", "check.leaks", "check.mutation", "check.patches", "check.survivors",
    "check.residue", "check.tamper", "check.others", "check.few_shot", "check.offline", "check.holdout", "check.judges",
    "check.progress",
    "builder.proposal", "builder.literals", "builder.checks", "builder.form", "builder.intent", "builder.ledger",
    "builder.toml",
    "builder.planning",
)  # fmt: skip
READS_FILES = ("record.fingerprint",)
"""Not pure, for it reads the suite's files; but it imports no more than what is."""
IMPURE_STANDARD_LIBRARY = {"asyncio", "multiprocessing", "socket", "subprocess", "threading"}
PURE_EXCEPT = {"record.records": {"pydantic"}, "money.budget": {"asyncio"}}
"""records: `to_json` and `from_json` load pydantic when they are called. budget: calls wait for one another."""

AT_START = ("", "plugin")
"""What pytest loads at each start, before it knows whether there is an agent task: the package and the plugin."""

Modules = Mapping[str, Module]


def inner(name: str) -> str:
    return name.removeprefix(PACKAGE).lstrip(".")


def below(name: str, *homes: str) -> bool:
    return any(f"{inner(name)}.".startswith(f"{home}.") for home in homes)


def own(found: Modules, target: str) -> str | None:
    """The module of the package that an import of `target` loads, or None where it loads another package's."""
    if target.partition(".")[0] != PACKAGE:
        return None
    return target if target in found else target.rpartition(".")[0]


def only_below(found: Modules, packages: Iterable[str], *homes: str) -> list[str]:
    outside = [module for name, module in found.items() if not below(name, *homes)]
    return [str(made) for module in outside for made in module.imports if made.reaches(*packages)]


def inspect_ai_only_below_engine(found: Modules) -> list[str]:
    return only_below(found, ["inspect_ai"], "engine")


def private_inspect_only_in_one_file(found: Modules) -> list[str]:
    return [
        str(made)
        for name, module in found.items()
        if not below(name, "engine.inspect_private")
        for made in module.imports
        if made.reaches("inspect_ai") and any(_is_private(part) for part in made.target.split("."))
    ]


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


CLUSTER_WITHOUT_EXTRA = f"{PACKAGE}.sandbox.cluster.pods"
"""What a pod is asked to be like: known without the extra `k8s`."""
STARTERS = (
    "run", "Popen", "call", "check_call", "check_output", "system", "subprocess",
    "create_subprocess_exec", "create_subprocess_shell", "open_process", "run_process",
)  # fmt: skip
"""Functions that start a process, by their last name."""


def docker_only_below_sandbox(found: Modules) -> list[str]:
    commands = [
        f"{name}:{line} calls docker"
        for name, module in found.items()
        if not below(name, "sandbox")
        for line, text in module.strings_in_calls(*STARTERS)
        if text.split()[:1] in (["docker"], ["docker-compose"])
    ]
    return only_below(found, ["docker"], "sandbox") + commands


def cluster_only_below_cluster(found: Modules) -> list[str]:
    """The extra `k8s` may be missing: what needs it is loaded by those only who were asked for a cluster."""
    needing = {name for name, module in found.items() if any(made.reaches("wsproto") for made in module.imports)}
    outside = [name for name in needing if not below(name, "sandbox.cluster")]
    return [f"{name} imports wsproto" for name in sorted(outside)] + [
        str(made)
        for name, module in found.items()
        if not below(name, "sandbox.cluster", "engine.sandboxes.kubernetes")
        for made in module.imports
        if made.at_start and made.reaches(f"{PACKAGE}.sandbox.cluster") and not made.reaches(CLUSTER_WITHOUT_EXTRA)
    ]


def processes_only_where_they_are_needed(found: Modules) -> list[str]:
    homes = ("sandbox", "check.rounds", "builder.solving", "plan.checkout")
    return only_below(found, ["subprocess", "multiprocessing"], *homes)


def private_pytest_only_in_items(found: Modules) -> list[str]:
    """The engine and the sandbox never see pytest's objects; whatever else touches a private name, touches pytest's."""
    ours = {"_replace"}.union(*(module.defined_names() for module in found.values()))
    touched = [
        f"{name}:{line} touches {text}"
        for name, module in found.items()
        if not below(name, "collect.items", "engine", "sandbox")
        for line, attribute, text in module.private_accesses()
        if attribute not in ours
    ]
    return only_below(found, ["_pytest"], "collect.items") + touched


def pure_rooms_are_pure(found: Modules) -> list[str]:
    standard = set(sys.stdlib_module_names) - IMPURE_STANDARD_LIBRARY
    broken = []
    for name, module in found.items():
        if not below(name, *PURE, *READS_FILES):
            continue
        rooms = (*PURE, *READS_FILES) if below(name, *READS_FILES) else PURE
        allowed = standard | {"numpy"} | PURE_EXCEPT.get(inner(name), set())
        for made in module.imports:
            target = own(found, made.target)
            right = _top(made.target) in allowed if target is None else below(target, *rooms)
            if not right:
                broken.append(str(made))
    return broken


def what_runs_in_the_container_needs_nothing(found: Modules) -> list[str]:
    return [
        str(made)
        for name, module in found.items()
        if below(name, "sandbox.exec.inside")
        for made in module.imports
        if _top(made.target) not in sys.stdlib_module_names
        and not below(own(found, made.target) or "", "sandbox.exec.inside")
    ]


def the_start_is_light(found: Modules) -> list[str]:
    """Of foreign modules only pytest and the standard library; which of it, the test with a real pytest says."""
    todo, seen, heavy = [PACKAGE, *(f"{PACKAGE}.{name}" for name in AT_START if name)], set(), []
    while todo:
        name = todo.pop()
        if name in seen or name not in found:
            continue
        seen.add(name)
        for made in found[name].imports:
            target = own(found, made.target)
            if not made.at_start:
                continue
            if target is not None:
                todo.append(target)
            elif _top(made.target) not in {"pytest", "pluggy", *sys.stdlib_module_names}:
                heavy.append(str(made))
    return heavy


def data_flows_one_way(found: Modules) -> list[str]:
    """Names that only type checkers read do not count: nothing flows through them."""
    broken = [f"{name} is in no room of ORDER" for name in found if room(name) not in ("", *ORDER)]
    for name, module in found.items():
        for made in module.imports:
            target = own(found, made.target)
            if target is None or made.typing_only or room(name) not in ORDER or room(target) not in ORDER:
                continue
            if ORDER.index(room(target)) > ORDER.index(room(name)):
                broken.append(str(made))
    return broken


def no_modules_in_a_circle(found: Modules) -> list[str]:
    """Names that only type checkers read do count here: a reader follows them, too."""
    return [" <-> ".join(circle) for circle in circles(module_graph(found))]


def imports_are_absolute(found: Modules) -> list[str]:
    return [f"{made} relatively" for module in found.values() for made in module.imports if made.relative]


def _top(target: str) -> str:
    return target.partition(".")[0]


WALLS: tuple[Callable[[Modules], list[str]], ...] = (
    inspect_ai_only_below_engine,
    private_inspect_only_in_one_file,
    docker_only_below_sandbox,
    cluster_only_below_cluster,
    processes_only_where_they_are_needed,
    private_pytest_only_in_items,
    pure_rooms_are_pure,
    what_runs_in_the_container_needs_nothing,
    the_start_is_light,
    data_flows_one_way,
    no_modules_in_a_circle,
    imports_are_absolute,
)


@pytest.mark.parametrize("wall", WALLS)
def test_the_package_keeps(wall: Callable[[Modules], list[str]]) -> None:
    assert wall(modules(ROOT)) == []


def test_the_house_is_low() -> None:
    rooms = room_graph(modules(ROOT))
    assert set(rooms) == set(ORDER)
    assert circles(rooms) == []
    assert max(floors(rooms).values()) <= 10


@pytest.mark.parametrize("folder", sorted({file.parent for file in ROOT.rglob("*.py")}), ids=lambda folder: folder.name)
def test_a_folder_says_what_belongs_there(folder: Path) -> None:
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    assert said is not None and len(said.split(".")) > 1


GOOD = {
    "__init__.py": "from typing import Any\n",
    "plugin.py": "import pytest\nfrom pytest_agenteval.options import a\n\ndef f():\n    import inspect_ai_not_me\n",
    "options/__init__.py": "import re\n",
    "record/__init__.py": "",
    "record/outcomes.py": "",
    "record/records.py": "import numpy\nfrom pytest_agenteval.record.outcomes import A\n",
    "collect/__init__.py": "",
    "collect/items.py": "import _pytest.python\n\ndef f(function):\n    return function._fixtureinfo\n",
    "engine/__init__.py": "",
    "engine/agent.py": "import inspect_ai\nfrom pytest_agenteval.collect.items import f\n",
    "sandbox/__init__.py": "",
    "sandbox/daemon.py": "import docker\nimport subprocess\nsubprocess.run(['docker', 'info'])\n",
    "sandbox/exec/__init__.py": "",
    "sandbox/exec/inside/__init__.py": "",
    "sandbox/exec/inside/serve.py": "import os\n",
}


INSIDE = "sandbox/exec/inside/serve.py"


def tree(folder: Path, files: Mapping[str, str]) -> Modules:
    for name, text in files.items():
        file = folder / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return modules(folder / PACKAGE)


@pytest.mark.parametrize("wall", WALLS)
def test_a_good_tree_passes(wall: Callable[[Modules], list[str]], tmp_path: Path) -> None:
    assert wall(tree(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("wall", "file", "text"),
    [
        (inspect_ai_only_below_engine, "collect/items.py", "import inspect_ai"),
        (inspect_ai_only_below_engine, "collect/items.py", "def f():\n    from inspect_ai.model import Model"),
        (inspect_ai_only_below_engine, "collect/items.py", "if TYPE_CHECKING:\n    import inspect_ai"),
        (inspect_ai_only_below_engine, "collect/items.py", "import importlib as i\ni.import_module('inspect_ai')"),
        (inspect_ai_only_below_engine, "engine_room.py", "import inspect_ai"),
        (private_inspect_only_in_one_file, "engine/agent.py", "from inspect_ai.log._samples import sample_active"),
        (private_inspect_only_in_one_file, "engine/agent.py", "def f():\n    from inspect_ai.model import _call_tools"),
        (docker_only_below_sandbox, "engine/agent.py", "def f():\n    import docker.errors"),
        (docker_only_below_sandbox, "engine/agent.py", "run(['docker', 'ps'])"),
        (docker_only_below_sandbox, "cli/check.py", "import subprocess as s\ns.check_output('docker ps', shell=True)"),
        (cluster_only_below_cluster, "plan/pods.py", "def f():\n    import wsproto"),
        (cluster_only_below_cluster, "plan/pods.py", "from pytest_agenteval.sandbox.cluster.api import Api"),
        (processes_only_where_they_are_needed, "engine/agent.py", "import subprocess"),
        (private_pytest_only_in_items, "plugin.py", "from _pytest.fixtures import FixtureDef"),
        (private_pytest_only_in_items, "plugin.py", "def f(item):\n    return item._fixtureinfo"),
        (private_pytest_only_in_items, "plugin.py", "def f(item):\n    return getattr(item, '_request')"),
        (pure_rooms_are_pure, "record/outcomes.py", "import pytest"),
        (pure_rooms_are_pure, "estimate/grid.py", "import scipy"),
        (pure_rooms_are_pure, "estimate/grid.py", "def f():\n    import asyncio"),
        (pure_rooms_are_pure, "money/rates.py", "from pytest_agenteval.options import a"),
        (what_runs_in_the_container_needs_nothing, INSIDE, "import anyio"),
        (what_runs_in_the_container_needs_nothing, INSIDE, "from pytest_agenteval.sandbox import daemon"),
        (the_start_is_light, "options/__init__.py", "import numpy"),
        (the_start_is_light, "plugin.py", "if True:\n    from pytest_agenteval.record import records"),
        (the_start_is_light, "__init__.py", "import pydantic"),
        (data_flows_one_way, "record/outcomes.py", "from pytest_agenteval.estimate.run import A"),
        (data_flows_one_way, "collect/items.py", "def f():\n    from pytest_agenteval.engine import agent"),
        (data_flows_one_way, "helpers.py", ""),
        (no_modules_in_a_circle, "record/outcomes.py", "def f():\n    import pytest_agenteval.record.records"),
        (no_modules_in_a_circle, "record/outcomes.py", "if TYPE_CHECKING:\n    import pytest_agenteval.record.records"),
        (imports_are_absolute, "collect/items.py", "from . import options"),
        (imports_are_absolute, "engine/agent.py", "def f():\n    from ..options import a"),
    ],
)  # fmt: skip
def test_a_hole_in_a_wall_is_seen(wall: Callable[[Modules], list[str]], file: str, text: str, tmp_path: Path) -> None:
    found = wall(tree(tmp_path, GOOD | {file: text}))
    assert len(found) == 1, found


PROBE = """
import sys

class Probe:
    def pytest_addoption(self, parser):
        self.before = set(sys.modules)
        import pytest_agenteval.plugin
        self.started = set(sys.modules) - self.before

    def pytest_unconfigure(self):
        print("AT START", *sorted(self.started))
        print("AT END", *sorted(sys.modules))

import pytest
sys.exit(pytest.main(sys.argv[1:], plugins=[Probe()]))
"""


def test_a_real_pytest_loads_nothing_for_us_that_it_has_not_loaded_itself(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE, "utf-8")
    (tmp_path / "test_ordinary.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef agent():\n    return 1\n\ndef test_it():\n    pass\n", "utf-8"
    )
    done = subprocess.run(
        [sys.executable, "probe.py", "-q", "-p", "no:cacheprovider", "-p", "pytest_agenteval"],
        cwd=tmp_path, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = {line.partition(" ")[2].partition(" ")[0]: line.split()[2:] for line in done.stdout.splitlines()}
    assert {name for name in lines["START"] if not name.startswith(PACKAGE)} == set()
    assert not {"asyncio", "anyio", "inspect_ai", "docker", "numpy", "pydantic"} & set(lines["END"])
    ours = {inner(name) for name in lines["END"] if name.partition(".")[0] == PACKAGE}
    assert ours == {"", "plugin", "hookspecs", "collect", "collect.fixtures", "options", "options.table"}
