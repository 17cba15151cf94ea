from __future__ import annotations

import ast
import importlib
from importlib.metadata import version
from pathlib import Path

import pytest

import pytest_agenteval

ROOT = Path(__file__).parents[3] / "pytest_agenteval"
FILES = sorted(ROOT.rglob("*.py"))
DATA_ONLY = {"engine/registry.py"}


def label(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def declared(file: Path) -> list[str] | None:
    """The names in `__all__`, or None where there is none."""
    for node in tree(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def test_what_the_package_hands_out() -> None:
    assert pytest_agenteval.__all__ == [
        "Agent", "AgentContext", "AgentResult", "Attempt", "AttemptRecord", "Cause", "Cell", "CellSummary",
        "Comparison", "Dialogue", "ExitStatus", "GateResult", "Judgement", "ModelCall", "OfferedSandbox",
        "Outcome", "OwnPerturbation", "PriceBook", "Rates", "ReportRequest", "ReportSection", "Retry", "Rules",
        "RunSummary", "RunVerdict",
        "Sandbox", "SandboxAgent", "SimulatedUser", "TaskRecord", "TaskSummary", "TokenUsage", "ToolCall",
        "ToolCalls", "Verdict", "Writer", "__version__", "agent_task", "dialogue", "inspect_task", "record_tool",
        "recorded_tool", "rule",
    ]  # fmt: skip
    assert dir(pytest_agenteval) == sorted(pytest_agenteval.__all__)


@pytest.mark.parametrize("name", pytest_agenteval.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(pytest_agenteval, name)


def test_a_star_import_gives_them_all() -> None:
    found: dict[str, object] = {}
    exec("from pytest_agenteval import *", found)
    assert set(pytest_agenteval.__all__) <= set(found)


def test_the_version_is_the_distribution_s() -> None:
    assert pytest_agenteval.__version__ == version("pytest-agenteval")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'pytest_agenteval' has no attribute 'agents'"):
        pytest_agenteval.agents  # noqa: B018


def test_the_sandbox_is_inspects_own() -> None:
    from inspect_ai.util import SandboxEnvironment

    assert pytest_agenteval.Sandbox is SandboxEnvironment


@pytest.mark.parametrize("file", FILES, ids=label)
def test_a_module_says_what_it_hands_out(file: Path) -> None:
    names = declared(file)
    if names is None:
        defined = [node for node in tree(file).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert not [node.name for node in defined if not node.name.startswith("_")], "it has no __all__"
        return
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=_as_ruff_sorts)


@pytest.mark.parametrize("file", [file for file in FILES if declared(file)], ids=label)
def test_what_a_module_hands_out_is_there(file: Path) -> None:
    dotted = ".".join(("pytest_agenteval", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    module = importlib.import_module(dotted)
    assert [name for name in declared(file) or () if not hasattr(module, name)] == []


@pytest.mark.parametrize("file", FILES, ids=label)
def test_whatever_is_public_says_what_it_is(file: Path) -> None:
    module = tree(file)
    silent = [] if ast.get_docstring(module) or not module.body else ["the module"]
    todo: list[ast.Module | ast.ClassDef] = [module]
    while todo:
        for node in todo.pop().body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            overload = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
            if not ast.get_docstring(node) and not overload:
                silent.append(f"{node.name} (line {node.lineno})")
            if isinstance(node, ast.ClassDef):
                todo.append(node)
    assert silent == []


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then everything else."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[:1].isupper() else 2, name)
