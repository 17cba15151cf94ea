"""Wrong variants of a `git apply` command: a run of changes reverted, an added line dropped or changed. Pure."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

__all__ = ["patch_variants"]

Variant = tuple[str, str, str]
"""Operator, the whole command, and what is different."""


@dataclass(frozen=True, slots=True)
class _Hunk:
    start: int
    lines: tuple[str, ...] = ()

    def text(self) -> Iterator[str]:
        old = sum(line[:1] in (" ", "-") for line in self.lines)
        new = sum(line[:1] in (" ", "+") for line in self.lines)
        yield f"@@ -{self.start},{old} +{self.start},{new} @@"
        yield from self.lines

    @property
    def empty(self) -> bool:
        return all(line.startswith(" ") for line in self.lines)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    head: tuple[str, ...]
    hunks: tuple[_Hunk, ...] = ()

    def text(self) -> Iterator[str]:
        if self.hunks:
            yield from self.head
        for hunk in self.hunks:
            yield from hunk.text()


def patch_variants(command: str, line_variants: Callable[[str], Iterator[Variant]]) -> Iterator[Variant]:
    """The variants of a command that reads its patch from a here-document.

    Args:
        command: the command.
        line_variants: the variants of one added line.
    """
    first, *body = command.strip("\n").splitlines()
    end = re.search(r"<<-?\s*['\"]?(\w+)", first)
    tail = [line for line in body[-1:] if end is not None and line == end[1]]
    files = _parse(body[: len(body) - len(tail)])

    def told(at: int, number: int, lines: list[str]) -> str:
        hunks = list(files[at].hunks)
        hunks[number] = replace(hunks[number], lines=tuple(lines))
        changed = [*files[:at], replace(files[at], hunks=tuple(h for h in hunks if not h.empty)), *files[at + 1 :]]
        return "\n".join([first, *(line for file in changed for line in file.text()), *tail])

    for at, file in enumerate(files):
        for number, hunk in enumerate(file.hunks):
            tell = functools.partial(told, at, number)
            yield from _hunk_variants(file.name, list(hunk.lines), line_variants, tell)


def _hunk_variants(
    name: str, lines: list[str], line_variants: Callable[[str], Iterator[Variant]], told: Callable[[list[str]], str]
) -> Iterator[Variant]:
    for changed, group in itertools.groupby(range(len(lines)), lambda at: lines[at][:1] in ("+", "-")):
        run = set(group)
        if changed:
            kept = [(at, line) for at, line in enumerate(lines) if not (at in run and line.startswith("+"))]
            reverted = [f" {line[1:]}" if at in run else line for at, line in kept]
            yield "revert-run", told(reverted), f"{name}: a change is taken back"
    for at, line in enumerate(lines):
        text = line[1:].strip()
        if not line.startswith("+") or not text or text.startswith(("#", '"""')):
            continue
        yield "drop-line", told([*lines[:at], *lines[at + 1 :]]), f"{name}: without {text[:60]!r}"
        for operator, changed_line, about in line_variants(line[1:]):
            yield (
                operator,
                told([*lines[:at], f"+{changed_line}", *lines[at + 1 :]]),
                f"{name}: {about} in {text[:60]!r}",
            )


def _parse(lines: list[str]) -> list[_File]:
    files: list[_File] = []
    for line in lines:
        if line.startswith("diff --git"):
            files.append(_File(line.rpartition(" b/")[2], (line,)))
        elif not files:
            continue
        elif (start := re.match(r"@@ -(\d+)", line)) is not None:
            files[-1] = replace(files[-1], hunks=(*files[-1].hunks, _Hunk(int(start[1]))))
        elif files[-1].hunks:
            *before, last = files[-1].hunks
            files[-1] = replace(files[-1], hunks=(*before, replace(last, lines=(*last.lines, line or " "))))
        else:
            files[-1] = replace(files[-1], head=(*files[-1].head, line))
    return files
