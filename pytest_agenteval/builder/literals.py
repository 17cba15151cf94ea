"""Texts and values as Python source, so that whatever they hold, they stay constants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["block", "literal"]

_WIDTH = 100


def literal(value: Any) -> str:
    """A JSON value, or a text, as a Python expression of ASCII characters in one line."""
    if isinstance(value, str):
        quoted = ascii(value)
        plain = quoted[0] == "'" and '"' not in quoted and "\\'" not in quoted
        return f'"{quoted[1:-1]}"' if plain else quoted
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(literal, value)) + "]"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")


def block(value: Any, indent: str = "") -> str:
    """The same over several lines where one would be long; `indent` is that of the line where it begins."""
    line = literal(value)
    if len(indent) + len(line) <= _WIDTH and not (isinstance(value, str) and value.count("\n") > 1):
        return line
    inner = f"{indent}    "
    if isinstance(value, str):
        pieces = _pieces(value, _WIDTH - len(inner))
        if len(pieces) == 1:
            return literal(pieces[0])
        return "(\n" + "".join(f"{inner}{literal(piece)}\n" for piece in pieces) + f"{indent})"
    if isinstance(value, Mapping):
        rows = [f"{inner}{literal(key)}: {block(each, inner)},\n" for key, each in value.items()]
        return "{\n" + "".join(rows) + f"{indent}}}"
    if isinstance(value, Sequence):
        opening, closing = ("(", ")") if isinstance(value, tuple) else ("[", "]")
        return f"{opening}\n" + "".join(f"{inner}{block(each, inner)},\n" for each in value) + f"{indent}{closing}"
    return line


def _pieces(text: str, width: int) -> list[str]:
    """The text in pieces: a line each, and long lines between their words."""
    pieces = []
    for line in text.split("\n"):
        words = line.split(" ")
        row = words[0]
        for word in words[1:]:
            if len(row) + len(word) + 1 > width - 4:
                pieces.append(f"{row} ")
                row = word
            else:
                row = f"{row} {word}"
        pieces.append(f"{row}\n")
    pieces[-1] = pieces[-1].removesuffix("\n")
    return [piece for piece in pieces if piece] or [""]
