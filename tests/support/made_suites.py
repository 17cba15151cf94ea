"""Suites as real files, and the fingerprints of their tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from pytest_agenteval.record.fingerprint import Fingerprint, conftests_above, fingerprint
from pytest_agenteval.record.stored import differences

__all__ = ["MadeSuite", "function_in"]


def function_in(path: Path) -> Callable[[], None]:
    """A function that is written in a file, as far as Python knows: fingerprints are of source that is not imported."""
    made: dict[str, Any] = {}
    exec(compile("def made(): ...", str(path), "exec"), made)
    return cast("Callable[[], None]", made["made"])


class MadeSuite:
    """Files below a root directory."""

    def __init__(self, root: Path, files: Mapping[str, str], test: str = "test_suite.py::test_it") -> None:
        self.root = root
        self.test = test
        self.write(files)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text("utf-8")
        assert text.count(old) == 1, old
        (self.root / name).write_text(text.replace(old, new), "utf-8")

    def fingerprint(self, test: str | None = None, **more: Any) -> Fingerprint:
        file, _, name = (test or self.test).partition("::")
        path = self.root / file
        return fingerprint(
            more.pop("function", function_in(path)), rootdir=self.root, conftests=conftests_above(path, self.root),
            file=path, name=name.replace("::", "."), **more,
        )  # fmt: skip

    def parts(self, test: str | None = None, **more: Any) -> Mapping[str, str]:
        """Of a test that is in no doubt."""
        found = self.fingerprint(test, **more)
        assert found.doubts == (), found.doubts
        return found.parts

    def changed_by(self, name: str, old: str, new: str, **more: Any) -> tuple[str, ...]:
        """The parts that replacing a text in a file changes."""
        before = self.parts(**more)
        self.edit(name, old, new)
        return differences(before, self.parts(**more))
