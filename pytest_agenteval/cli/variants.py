"""`pytest-agenteval variants make`: other wordings of tasks' prompts, by a model, for a person to review."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agenteval.errors import NotReady
from pytest_agenteval.options.cli_values import checked
from pytest_agenteval.options.values import number_from_1, role

if TYPE_CHECKING:
    import pytest

__all__ = ["add_variants"]

_ROLE = "paraphrase"


def add_variants(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand `variants`."""
    parser = commands.add_parser("variants", allow_abbrev=False, help="other wordings of tasks' prompts")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    make = actions.add_parser(
        "make",
        allow_abbrev=False,
        help="let a model write them, for --agent-perturb=prompts",
        description=(
            "Play each task with an agent that does nothing, to see its prompt, and let a model word it differently. "
            "What passes the mechanical checks is written to variants/NAME_OF_THE_TEST.toml beside the suite; it runs "
            "once a person has read it and set `reviewed`. Arguments after -- go to pytest."
        ),
    )
    make.add_argument("tests", nargs="+", metavar="TEST", help="a file, a directory or a node id")
    make.add_argument(
        "--role",
        type=checked(role),
        required=True,
        metavar="paraphrase=MODEL",
        help="the model that writes the wordings",
    )
    make.add_argument("--n", type=checked(number_from_1), default=5, metavar="N", help="wordings of each (default 5)")
    make.set_defaults(run=_make)


class _Collected:
    """A plugin that keeps where each task's variants belong."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the agent tasks alone: ordinary tests have nothing to do here."""
        from pytest_agenteval.collect.items import AgentItem
        from pytest_agenteval.collect.variants import prompts_file

        items[:] = [item for item in items if isinstance(item, AgentItem)]
        self.files = {item.nodeid: prompts_file(item) for item in items if isinstance(item, AgentItem)}


def _make(asked: argparse.Namespace) -> int:
    from pytest_agenteval.engine.conduct.paraphrase import ask_for_wordings

    name, model = asked.role
    if name != _ROLE:
        raise NotReady(f"--role={name}=...: the role is called {_ROLE}")
    files, prompts = _seen(asked.tests, asked.extra)
    if not prompts:
        raise NotReady(f"no prompt was seen in {', '.join(asked.tests)}: does a test there call agent.run(...)?")
    for task in files.keys() - prompts.keys():
        print(f"{task}: its prompt was not seen, because its agent is its own or it was skipped")
    by_file: dict[Path, str] = {}
    for task, file in files.items():
        if task in prompts and by_file.setdefault(file, task) != task:
            print(f"{task}: left out, for its variants belong into the same file as those of {by_file[file]}")
    wanted = {task: prompts[task] for task in by_file.values()}
    wordings = ask_for_wordings(model, wanted, asked.n)
    unread = 0
    for file, task in by_file.items():
        found = wordings[task]
        if found is None:
            unread += 1
            print(f"{task}: the answer of {model} cannot be read as a list of texts")
        else:
            _write(file, task, prompts[task], found, model)
    return 1 if unread else 0


def _seen(tests: list[str], extra: list[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Where the variants of each task belong, and what it asks its agent."""
    import pytest

    from pytest_agenteval.engine.conduct.paraphrase import prompts_in

    collected, out = _Collected(), StringIO()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--agent-model=agenteval/null", "--k=1", f"--agent-log-dir={folder}", "-p", "no:cacheprovider"]
        with redirect_stdout(out):
            status = pytest.main([*tests, *options, *extra], plugins=[collected])
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, 10):
            raise NotReady(f"pytest ended with status {int(status)}: {out.getvalue().strip()[-500:]}")
        return collected.files, dict(prompts_in(Path(folder)))


def _write(file: Path, task: str, base: str, texts: list[str], model: str) -> None:
    from pytest_agenteval.collect.prompt_variants import (
        StoredPrompt,
        prompt_digest,
        read_prompts,
        why_no_variant,
        written,
    )

    of = prompt_digest(base)
    kept = []
    if file.is_file():
        try:
            kept = [each for each in read_prompts(file) if each.of == of]
        except ValueError as error:
            raise NotReady(f"{error}; mend or remove it, then make the variants again") from None
    known, added = {each.text for each in kept} | {base}, 0
    for text in texts:
        why = "it is there already" if text in known else why_no_variant(base, text)
        if why is not None:
            print(f"{task}: a wording is left out: {why}")
            continue
        taken = {each.name for each in kept}
        name = next(f"variant-{at}" for at in range(1, len(taken) + 2) if f"variant-{at}" not in taken)
        kept.append(StoredPrompt(name, of, text, made_by=model))
        known.add(text)
        added += 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(written(base, kept), "utf-8")
    print(f"{file}: {added} of {len(texts)} wordings written; read them and set `reviewed`")
