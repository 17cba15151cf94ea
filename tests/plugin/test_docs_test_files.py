"""Blocks of the documentation that are whole test files: collected by pytest, and played by the built-in models."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.forked_pytest import forked_pytest
from support.pages import PAGES, Block, blocks, page_id

FILES: dict[str, Block] = {
    f"test_{re.sub(r'[^a-z]', '_', page_id(page).lower())}_{block.line}.py": block
    for page in PAGES
    for block in blocks(page)
    if block.whole_test_file
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, block in FILES.items():
        (tmp_path / name).write_text(block.text, "utf-8")
    return tmp_path


def run(folder: Path, *options: str) -> pytest.RunResult:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return forked_pytest(folder, ["-p", "pytest_agenteval.plugin", "-p", "no:cacheprovider", *options], environment)


def test_each_is_collected_and_its_solution_passes_it(folder: Path) -> None:
    played = run(folder, "-v", "--agent-model=agenteval/oracle", "--agent-sandbox=local")
    passed = {line.partition("::")[0] for line in played.outlines if " PASSED " in line}
    assert played.ret == 0
    assert passed == FILES.keys()


def test_doing_nothing_passes_none(folder: Path) -> None:
    played = run(folder, "-v", "--agent-model=agenteval/null", "--agent-sandbox=local")
    assert not any(" PASSED " in line for line in played.outlines)
    assert {line.partition("::")[0] for line in played.outlines if " FAILED " in line} == FILES.keys()
