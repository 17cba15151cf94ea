"""The pages of the documentation, read as a Markdown reader reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["DOCS", "PAGES", "ROOT", "TEST_FILE", "Block", "anchors", "blocks", "links", "page_id", "tables"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY", "example_suites/README")),
    *sorted(DOCS.rglob("*.md")),
]
TEST_FILE = "<!-- test file -->"
"""Stands above a block of Python that is a whole test file."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    language: str
    text: str
    line: int
    whole_test_file: bool


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    before = ""
    for token in _tokens(page):
        if token.type == "fence":
            yield Block(token.info.strip(), token.content, (token.map or [0])[0] + 1, before == TEST_FILE)
        before = token.content.strip() if token.type == "html_block" else ""


def links(page: Path) -> Iterator[str]:
    """The addresses of all links."""
    for token in _tokens(page):
        for child in token.children or ():
            if child.type == "link_open":
                yield str(child.attrs["href"])


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may have after its `#`, as GitHub and MyST make it."""
    tokens = _tokens(page)
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(page: Path) -> Iterator[list[list[str]]]:
    """Tables, each as rows of cells, the header first."""
    rows: list[list[str]] = []
    for token in _tokens(page):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 3:
            rows[-1].append(token.content)
        elif token.type == "table_close":
            yield rows
            rows = []


def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
