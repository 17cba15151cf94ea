"""The files that a task declares because it depends on them without importing them."""

# ruff: noqa: PTH207 (Path.glob takes no absolute patterns and finds hidden files)
from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["declared_files"]


def declared_files(patterns: Iterable[str | Path], folder: Path) -> tuple[Path, ...]:
    """The files that these paths and globs (`**` too) match, relative to the suite's folder; sorted.

    A folder means all files in it. Globs and folders leave out hidden files and `__pycache__`.

    Raises:
        ValueError: a path or glob matches no file.
    """
    found: set[Path] = set()
    for pattern in patterns:
        matched = {file for path in _paths(str(pattern), folder) for file in _files(path)}
        if not matched:
            raise ValueError(f"agent_task(files=[{str(pattern)!r}]) means no file: give a path or a glob in {folder}")
        found |= matched
    return tuple(sorted(found))


def _paths(pattern: str, folder: Path) -> Iterator[Path]:
    exact = Path(os.path.normpath(folder / pattern))
    if exact.exists():
        yield exact
        return
    for name in glob.iglob(pattern, root_dir=folder, recursive=True):
        yield Path(os.path.normpath(folder / name))


def _files(path: Path) -> Iterator[Path]:
    inner = (path / name for name in glob.iglob("**", root_dir=path, recursive=True)) if path.is_dir() else (path,)
    yield from (file for file in inner if file.is_file() and "__pycache__" not in file.parts)
