"""A proposal becomes a test file. Every text passes through :mod:`.literals`: it stays a constant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from pytest_agenteval.builder.checks import KINDS
from pytest_agenteval.builder.literals import block, literal
from pytest_agenteval.builder.proposal import Proposal
from pytest_agenteval.builder.toml import toml_document
from pytest_agenteval.texts import shortened

__all__ = ["data_files", "name_of", "render_conftest", "render_test", "render_variants", "task_name"]

_LONGEST_TITLE = 80


def name_of(proposal: Proposal) -> str:
    """What its file, its function and its folder of data are called after."""
    return proposal.id.replace("-", "_")


def task_name(proposal: Proposal) -> str:
    """The name of its test, as pytest has it."""
    return f"test_{name_of(proposal)}.py::test_{name_of(proposal)}"


def data_files(proposal: Proposal) -> dict[str, str]:
    """The files that its test reads, by their paths below the suite."""
    return {f"files/{name_of(proposal)}/{path}": text for path, text in proposal.files.items()}


def render_test(proposal: Proposal, *, holdout: bool = False) -> str:
    """The source of its test file."""
    kinds = [KINDS[check["kind"]] for check in proposal.checks]
    standard = sorted({f"import {name}" for kind in kinds for name in kind.imports})
    desk = proposal.desk is not None
    third = ["import pytest"] if desk else []
    constants = {name: source for kind in kinds for name, source in kind.constants.items()}
    marks = {"solution": "SOLUTION"} if proposal.solution else {}
    marks |= {"answer": literal(proposal.answer)} if proposal.answer else {}
    marks |= {"files": f"[{literal(f'files/{name_of(proposal)}')}]"} if proposal.files else {}
    marks |= {"holdout": '"samples"'} if holdout else {}
    head = [_docstring(proposal), *_paragraph(standard)]
    head += _paragraph([*third, "from pytest_agenteval import Agent, Sandbox, agent_task"])
    head += _paragraph([f"PROMPT = {block(proposal.prompt)}"])
    head += _paragraph([f"SOLUTION = {block(list(proposal.solution))}"]) if proposal.solution else []
    head += _paragraph([f"DESK = {block(proposal.desk)}"]) if desk else []
    head += _paragraph([f"SETUP = {block(list(proposal.setup))}"]) if proposal.setup else []
    for name, source in constants.items():
        head += _paragraph([f"{name} = {block(source)}"])
    return "\n".join([*head, *(_FIXTURES if desk else ()), "", "", *_test(proposal, marks)]) + "\n"


_FIXTURES = """

@pytest.fixture
def desk(open_desk):
    return open_desk(DESK)


@pytest.fixture
def end_state(desk):
    return lambda: desk.tables""".splitlines()


def _docstring(proposal: Proposal) -> str:
    origin = proposal.origin
    made = f"from the family {origin.family}" if origin.family else f"by {origin.model}" if origin.model else "by hand"
    seed = f", seed {origin.seed}" if origin.seed else ""
    return literal(f"{shortened(proposal.title, _LONGEST_TITLE)} ({proposal.difficulty}; made {made}{seed})")


def _paragraph(lines: Sequence[str]) -> list[str]:
    return ["", *lines] if lines else []


def _test(proposal: Proposal, marks: dict[str, str]) -> list[str]:
    fixtures = ["agent: Agent", "sandbox: Sandbox", "given: dict[str, str]"] if proposal.files else [
        "agent: Agent", "sandbox: Sandbox"]  # fmt: skip
    fixtures += ["desk", "end_state"] if proposal.desk is not None else []
    answers = any(check["kind"] in ("answer", "number") for check in proposal.checks)
    lines = [
        f"@agent_task({', '.join(f'{name}={value}' for name, value in marks.items())})",
        f"async def test_{name_of(proposal)}({', '.join(fixtures)}) -> None:",
    ]
    if proposal.setup:
        lines += [
            "    for command in SETUP:",
            '        made = await sandbox.exec(["bash", "-c", command], timeout=60)',
            "        assert made.success, made.stderr",
            "",
        ]
    tools = ", tools=desk.tools" if proposal.desk is not None else ""
    lines += [f"    {'result = ' if answers else ''}await agent.run(PROMPT{tools})", ""]
    for check in proposal.checks:
        lines += [f"    {line}" for line in KINDS[check["kind"]].lines(check)]
    return lines


def render_conftest(proposals: Sequence[Proposal]) -> str:
    """The source of the suite's `conftest.py`: what its tests share."""
    parts = files("pytest_agenteval.builder") / "written"
    given = (parts / "given.py.txt").read_text("utf-8")
    if not any(proposal.desk is not None for proposal in proposals):
        return given
    desk = (parts / "desk.py.txt").read_text("utf-8")
    head, body = _imports_and_rest(given)
    more, rest = _imports_and_rest(desk)
    ours = "from pytest_agenteval import Sandbox"
    lines = {line for line in (*head, *more) if line.startswith(("import", "from")) and "__future__" not in line}
    third = [line for line in lines if line.split()[1].partition(".")[0] in ("inspect_ai", "pytest")]
    standard = lines - {*third, ours}
    ordered = [_sorted_imports(standard), _sorted_imports(third), [ours]]
    top = ['"""Shared by the tasks of this suite."""', "", "from __future__ import annotations", ""]
    return "\n".join([*top, "\n\n".join("\n".join(group) for group in ordered), "", *body]) + "\n".join(["", *rest, ""])


def _sorted_imports(lines: Sequence[str] | set[str]) -> list[str]:
    return sorted(lines, key=lambda line: (line.startswith("from"), line.split()[1]))


def _imports_and_rest(source: str) -> tuple[list[str], list[str]]:
    lines = source.rstrip("\n").split("\n")
    last = max(number for number, line in enumerate(lines) if line.startswith(("import ", "from ")))
    return lines[: last + 1], lines[last + 1 :]


def render_variants(proposals: Sequence[Proposal]) -> str:
    """The wrong and other right ways through each task as TOML, for readers and for later checks."""
    tables = []
    for proposal in proposals:
        for must, variants in (("fail", proposal.mutants), ("pass", proposal.alternatives)):
            for variant in variants:
                table: dict[str, object] = {
                    "task": task_name(proposal),
                    "must": must,
                    "name": variant.name,
                    "why": variant.why,
                }
                table |= {"solution": list(variant.solution), "answer": variant.answer}
                tables.append(("[[variant]]", table))
    return toml_document({}, tables, "The wrong and other right ways that were played against each task's checks.")
