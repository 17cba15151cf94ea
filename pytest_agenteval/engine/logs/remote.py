"""Logs in object stores: parts of many at once, with few requests, and each part only once in a process."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from pytest_agenteval.engine.inspect_private import filesystem

__all__ = ["HEADER", "SUMMARIES", "RemoteLogs"]

HEADER = ("header.json", "reductions.json", "_journal/start.json", "_journal/config_updates/")
"""The members of a log that its header is read from, by the beginning of their names."""
SUMMARIES = ("summaries.json", "_journal/summaries/")
"""Those that its attempts are read from."""

_TAIL = 1 << 17
"""Bytes fetched of each log: its end, where a log that was closed has its header and its summaries."""
_BLOCK = 1 << 16
"""Bytes fetched at least where a reader comes to a part that is not here."""
_MEMBER = 1 << 10
"""Bytes of a member beside its data, at most: the file header before them."""
_KEPT = 1 << 26
"""Bytes kept of all logs."""


class RemoteLogs:
    """Opens logs at addresses that fsspec knows. What was fetched of a log is kept until it is listed as another."""

    def __init__(self) -> None:
        self._listed: dict[str, tuple[int, str]] = {}
        """Size and stamp by address."""
        self._copies: OrderedDict[str, _Copy] = OrderedDict()

    def listed(self, file: str, size: int, stamp: str) -> None:
        """A store says that the log is there. `stamp` is something that changes when it is written again."""
        if self._listed.get(file) != (size, stamp):
            self._copies.pop(file, None)
        self._listed[file] = (size, stamp)

    def look(self, file: str) -> None:
        """Ask the store for one log, and keep what it says, as of a listing.

        Raises:
            Exception: whatever the file system raises where it is not there.
        """
        said = filesystem(file).fs.info(file)
        self.listed(file, said["size"], repr(sorted(said.items(), key=str)))

    def fetch(self, files: Iterable[str], members: Sequence[str]) -> None:
        """Fetch these members of the logs at once. Where that fails, opening the log says why."""
        for _, group in groupby((file for file in files if file in self._listed), _store):
            here = list(group)
            system = filesystem(here[0]).fs
            new = [_Copy(system, file, self._listed[file][0]) for file in here if file not in self._copies]
            _fetch(system, [(copy, max(0, copy.size - _TAIL), copy.size) for copy in new])
            self._copies.update((copy.file, copy) for copy in new if copy.parts)
            copies = [self._copies[file] for file in here if file in self._copies]
            _fetch(system, [(copy, *place) for copy in copies for place in copy.lacks(members)])
        while len(self._copies) > 1 and sum(copy.held for copy in self._copies.values()) > _KEPT:
            self._copies.popitem(last=False)

    def open(self, file: str) -> BinaryIO:
        """The log, to be read in any place: what is not here yet is fetched.

        Raises:
            Exception: whatever the file system raises where it is not there.
        """
        if file not in self._listed:
            self.look(file)
        copy = self._copies.get(file)
        if copy is None:
            copy = _Copy(filesystem(file).fs, file, self._listed[file][0])
            copy.read(max(0, copy.size - _TAIL), _TAIL)
            self._copies[file] = copy
        return io.BufferedReader(_Reader(copy), _BLOCK)


def _store(file: str) -> str:
    return "/".join(file.split("/", 3)[:3])


def _fetch(system: Any, places: Sequence[tuple[_Copy, int, int]]) -> None:
    if not places:
        return
    copies, starts, ends = zip(*places, strict=True)
    found = system.cat_ranges([copy.file for copy in copies], list(starts), list(ends), on_error="return")
    for copy, start, data in zip(copies, starts, found, strict=True):
        if isinstance(data, bytes):
            copy.parts[start] = data


@dataclass(slots=True)
class _Copy:
    """What is here of a log."""

    system: Any
    """fsspec's file system."""
    file: str
    size: int
    parts: dict[int, bytes] = field(default_factory=dict)
    """By the place of their first byte."""

    @property
    def held(self) -> int:
        """Bytes."""
        return sum(map(len, self.parts.values()))

    def read(self, start: int, length: int) -> bytes:
        """Some of these bytes at least, but for the end of the log."""
        if start >= self.size:
            return b""
        if (data := self._here(start, length)) is None:
            data = self.parts[start] = self.system.cat_file(
                self.file, start=start, end=min(self.size, start + max(length, _BLOCK))
            )
        return data[:length]

    def lacks(self, members: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Where those members lie that are not here. A log that was closed has no need of its journal."""
        try:
            with io.BufferedReader(_Reader(self), _BLOCK) as file, ZipFile(file) as archive:
                found = archive.infolist()
        except (BadZipFile, OSError):
            return
        closed = any(member.filename == "header.json" for member in found)
        for member in found:
            name, start = member.filename, member.header_offset
            end = min(self.size, start + member.compress_size + _MEMBER)
            if name.startswith(tuple(members)) and not (closed and name.startswith("_journal/")):
                held = self._here(start, end - start)
                if held is None or start + len(held) < end:
                    yield start, end

    def _here(self, start: int, length: int) -> bytes | None:
        for first, data in self.parts.items():
            if first <= start < first + len(data):
                return data[start - first : start - first + length]
        return None


class _Reader(io.RawIOBase):
    def __init__(self, copy: _Copy) -> None:
        super().__init__()
        self._copy, self._place = copy, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._copy.size}[whence] + offset
        if place < 0:
            raise OSError(f"there is no byte {place} in {self._copy.file}")
        self._place = place
        return place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        data = self._copy.read(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
