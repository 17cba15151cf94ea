"""AE601: what a suite's sandboxes download without saying which version. Pure: texts in, lines out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

__all__ = ["unpinned", "unpinned_image"]

_PIP = re.compile(r"\b(?:pip3?|uv pip)\s+install\b(?P<words>[^|;&\n]*)")
_VALUED = ("-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-e", "--editable",
           "-t", "--target", "--python", "-f", "--find-links")  # fmt: skip
"""Options of pip that take a value which is no package."""


def unpinned_image(image: str) -> str | None:
    """Why an image may be another one tomorrow, or None."""
    if "@sha256:" in image:
        return None
    name = image.rpartition("/")[2]
    tag = name.partition(":")[2]
    return f"{image} has no digest" if tag and tag != "latest" else f"{image} is whatever is the latest"


def unpinned(text: str, *, compose: bool) -> Iterator[tuple[int, str]]:
    """The lines of a Dockerfile, or of a compose file, that pin nothing: numbers from 1, with what is wrong."""
    if compose:
        for number, line in enumerate(text.splitlines(), 1):
            image = re.match(r"\s*image:\s*[\"']?([^\s\"'#]+)", line)
            if image is not None and "$" not in image[1] and (why := unpinned_image(image[1])):
                yield number, why
        return
    stages = {"scratch"}
    for number, line in _logical(text):
        base = re.match(r"(?i)\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", line)
        if base is not None:
            if base[1] not in stages and "$" not in base[1] and (why := unpinned_image(base[1])):
                yield number, why
            stages.add(base[2] or base[1])
        for install in _PIP.finditer(line):
            if loose := _loose(install["words"]):
                yield number, f"pip installs {', '.join(loose)} without =="


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that a backslash continues, and the number of the first. Comments are left out."""
    begun, parts = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        begun = begun or number
        parts.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield begun, " ".join(parts)
            begun, parts = 0, []
    if parts:
        yield begun, " ".join(parts)


def _loose(words: str) -> list[str]:
    try:
        given = shlex.split(words)
    except ValueError:
        return []
    packages, skip = [], False
    for word in given:
        if skip or word.startswith("-"):
            skip = word in _VALUED
        elif re.match(r"[A-Za-z0-9]", word) and not re.search(r"==|@|://|/|\$|\.whl$|\.tar\.gz$", word):
            packages.append(word)
    return packages
