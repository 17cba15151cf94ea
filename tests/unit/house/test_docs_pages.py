"""Every page that a user reads: its links lead somewhere, its code is code, its options exist, the site is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from support.pages import DOCS, PAGES, ROOT, Block, anchors, blocks, links, page_id

from pytest_agenteval.options.table import OPTIONS, SWITCHES

BY_FLAG = {flag: option for option in OPTIONS for flag in option.flags}
SCRIPT = {"--run", "--out", "--collection", "--organization", "--relationship", "--model-id"} | {
    "--kept", "--all", "--older-than", "--k8s", "--context", "--namespace", "--version", "--help",
    "--level", "--only", "--skip", "--strict", "--json", "--sarif", "--explain", "--replay", "--mutants", "--seed",
    "--role", "--n", "--min-mutation-score", "--history", "--must-see", "--fresh", "--max-time", "--judge-model",
    "--size", "--proposer", "--family", "--holdout", "--solver-model", "--solves", "--target-pass-rate",
    "--refresh", "--from-logs", "--stop-after", "--accept-as-is", "--plan",
}  # fmt: skip
"""Of `pytest-agenteval`; the page of the console script is tested against its parsers."""
OTHERS = {
    # pytest's and its plugins'
    "--junitxml", "--lf", "--maxfail", "--pdb", "--collect-only", "--runxfail", "--reruns", "--ff", "--sw",
    # Inspect's, pip's, Docker's, and those of this repository's own tools
    "--log-dir", "--sandbox", "--solver", "--group", "--format", "--at", "--for", "--timeout",
    # an agent program's, in an example
    "--model", "--yes",
}  # fmt: skip
OPTION = re.compile(r"(?<![\w-])--[a-z](?:[\w-]*\w)?(?![\w-])")
GIVEN = re.compile(r"(?<![\w-])(--[a-z][\w-]*)=([^\s`'\"|)]+)")
INI_KEY = re.compile(r"^(agent_\w+)\s*=", re.MULTILINE)
FENCED = [pytest.param(block, id=f"{page_id(page)}:{block.line}") for page in PAGES for block in blocks(page)]
each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


def written_in(*languages: str) -> list[object]:
    return [each for each in FENCED if each.values[0].language in languages]


def test_the_readme_fits_on_two_screens() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200


@each_page
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        place, _, anchor = link.partition("#")
        if "://" in link or place.startswith("mailto:"):
            continue
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_a_dead_link_is_seen() -> None:
    assert "two-intervals" in anchors(DOCS / "explanation" / "figures.md")
    assert "three-intervals" not in anchors(DOCS / "explanation" / "figures.md")


@each_page
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    named = set(OPTION.findall(page.read_text("utf-8")))
    assert named - BY_FLAG.keys() - {flag for flag, *_ in SWITCHES} - SCRIPT - OTHERS == set()


@pytest.mark.parametrize("block", written_in("bash", "text", "yaml", ""))
def test_the_values_that_commands_give_to_options_are_accepted(block: Block) -> None:
    for flag, value in GIVEN.findall(block.text):
        option = BY_FLAG.get(flag)
        if option is not None and not option.path and not re.search(r"[${]|\.\.\.", value):
            option.parse(value)


@pytest.mark.parametrize("block", written_in("toml", "ini"))
def test_ini_keys_exist(block: Block) -> None:
    assert set(INI_KEY.findall(block.text)) <= {f"agent_{option.key}" for option in OPTIONS}


@pytest.mark.parametrize("block", written_in("yaml"))
def test_workflows_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.parametrize("block", written_in("python"))
def test_python_compiles(block: Block) -> None:
    """A block may be the inside of an async function."""
    try:
        compile(block.text, "block", "exec")
    except SyntaxError:
        inside = "".join(f" {line}" for line in block.text.splitlines(keepends=True))
        compile(f"async def around():\n{inside}", "block", "exec")


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    if find_spec("sphinx") is None and "CI" not in os.environ:
        pytest.skip("Sphinx is not installed: pip install --group docs")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-E", "-W", "--keep-going", "-q", "-b", "html", "-d", tmp_path / "trees",
         DOCS, tmp_path / "site"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "reference" / "options.html").exists()
