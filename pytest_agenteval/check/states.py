"""The state of a sandbox as digests, by file and git repository, and its texts. Read by plain `sh` in any image."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping

from pytest_agenteval.record.digest import digest

__all__ = [
    "ANSWER",
    "ENVIRONMENT",
    "STATE",
    "State",
    "differing",
    "host_entries",
    "is_file",
    "parse_state",
    "parse_texts",
    "shows_host",
    "texts_command",
    "volatile",
]

State = Mapping[str, str]
"""Digest by entry: a path, a path with what is said of it, or a part of a git repository; and the answer."""
ANSWER = "the answer"
ENVIRONMENT = "the environment"
"""The place of its variables."""
_HOST = "the fixture end_state"
"""The entry of a state on the host; with a key behind it where that state is a mapping."""
_END = "=== end ==="

_SKIPPED = r"\( -name .git -o -name __pycache__ \) -prune -o"
_REPOSITORIES = "find . -maxdepth 4 -name .git -type d -prune 2>/dev/null"
STATE = rf"""LC_ALL=C; export LC_ALL
find . {_SKIPPED} -type f -exec sha256sum {{}} + 2>/dev/null
find . {_SKIPPED} -type f -perm -100 -exec printf 'x  %s (executable)\n' {{}} + 2>/dev/null
find . {_SKIPPED} -type d -exec printf 'd  %s/\n' {{}} + 2>/dev/null
find . {_SKIPPED} -type l -exec sh -c 'for f; do printf "%s  %s (link)\n" "$(readlink "$f")" "$f"; done' sh {{}} +
{_REPOSITORIES} | while read -r g; do
  ask() {{ printf '%s  %s\n' "$(git -c safe.directory='*' -C "${{g%.git}}" "$@" 2>/dev/null | sha256sum)" "$g $1"; }}
  ask symbolic-ref -q HEAD; ask log --format='%T %s' -n 200; ask for-each-ref --format='%(refname)'
  ask diff --cached --name-only
done
echo '{_END}'
"""
"""A shell command that prints a line `digest  entry` for everything in the working directory."""

_TEXTS = rf"""LC_ALL=C; export LC_ALL
give() {{ printf '> %s\n' "$1"; base64; }}
find . {_SKIPPED} -type f -size -400 -print 2>/dev/null | head -n 1000 | while read -r f; do give "$f" < "$f"; done
{_REPOSITORIES} | while read -r g; do
  ask() {{ git -c safe.directory='*' -C "${{g%.git}}" "$@" 2>/dev/null; }}
  ask log --all --reflog --format='%s%n%b' | give "$g log"
  ask ls-tree -r HEAD | awk '{{print $3}}' > /tmp/.agenteval-live.$$
  ask cat-file --batch-all-objects --batch-check | awk '$2 == "blob" && $3 < 200000 {{print $1}}' |
    grep -vxF -f /tmp/.agenteval-live.$$ | head -n 400 |
    while read -r id; do ask cat-file -p "$id" | give "$g $id"; done
  rm -f /tmp/.agenteval-live.$$
done
"""


def texts_command(*, environment: bool) -> str:
    """A shell command that prints files, what git keeps beside them, and the environment, in base64 behind their names.

    Files above 200 kB are left out. On the host the environment must be left out: it holds the user's own keys.
    """
    variables = f"env | give '{ENVIRONMENT}'\n" if environment else ""
    return f"{_TEXTS}{variables}echo '{_END}'\n"


def parse_state(output: str | None) -> dict[str, str] | None:
    """The state that :data:`STATE` printed, or None if it is not whole."""
    lines = _whole(output)
    if lines is None:
        return None
    entries = (line.partition("  ") for line in lines)
    # git's digests end in `-`, as sha256sum calls its standard input
    return {name.removeprefix("-  "): digest[:16] for digest, _, name in entries if name}


def parse_texts(output: str | None) -> dict[str, str] | None:
    """The texts that :func:`texts_command` printed, by place, without binary ones; None if they are not whole."""
    lines = _whole(output)
    if lines is None:
        return None
    pieces: dict[str, list[str]] = {}
    place = ""
    for line in lines:
        if line.startswith("> "):
            place = line[2:]
            pieces[place] = []
        elif place:
            pieces[place].append(line)
    texts = {}
    for name, encoded in pieces.items():
        try:
            texts[name] = base64.b64decode("".join(encoded)).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
    return texts


def host_entries(state: object) -> dict[str, str]:
    """What the fixture `end_state` gave, as entries of a state: one a key, so that volatile ones can be left out.

    What is not JSON counts by its `repr`.
    """
    if state is None:
        return {}
    if isinstance(state, Mapping):
        return {f"{_HOST}: {key}": _json_digest(value) for key, value in state.items()}
    return {_HOST: _json_digest(state)}


def shows_host(state: State) -> bool:
    """Whether it has entries of the fixture `end_state`."""
    return any(entry.startswith(_HOST) for entry in state)


def _json_digest(value: object) -> str:
    return digest(json.dumps(value, sort_keys=True, default=repr))


def is_file(place: str) -> bool:
    """Whether a place of :func:`texts_command` is a file of the working directory, and not git's or the environment."""
    return place.startswith("./") and not re.search(r"(^|/)\.git ", place)


def _whole(output: str | None) -> list[str] | None:
    lines = (output or "").splitlines()
    return lines[:-1] if lines and lines[-1] == _END else None


def differing(one: State, other: State) -> set[str]:
    """The entries that are not the same in both."""
    return {entry for entry in {*one, *other} if one.get(entry) != other.get(entry)}


def volatile(states: Iterable[State]) -> set[str]:
    """The entries that differ between states which should be the same: time stamps, canaries, random names."""
    known = list(states)
    return set().union(*(differing(known[0], other) for other in known[1:])) if known else set()
