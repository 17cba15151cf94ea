"""The journal of a log: the attempts that have ended since the log was last written, a small file each, beside it.

Inspect writes a log anew each time. If every attempt had that done, a run would write the square of what it has to say.
So an attempt goes into the journal at once, and into the log when that has grown by a part of its size. A log that was
closed has no journal.

An entry is a zip of those members of the log that the attempt adds, under the same names, so that Inspect's own
functions read it. It is named by the attempt, so that it is found without a search.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from pytest_agenteval.engine.inspect_private import AsyncFilesystem, filesystem, local_path
from pytest_agenteval.record.digest import digest

__all__ = ["Entry", "Journal", "entries", "entry_of"]

_ENDING = ".zip"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a journal, as a listing shows it."""

    address: str
    size: int
    """Bytes."""
    stamp: str
    """Something that changes when it is written again."""


def entry_of(log: str, task: str, number: int) -> str:
    """Where the journal of a log has an attempt, if it has it."""
    return f"{_folder(log)}/{digest(f'{number} {task}')}{_ENDING}"


def entries(log: str) -> list[Entry]:
    """What the journal of a log holds now; nothing where there is none.

    Raises:
        Exception: whatever the file system raises where it cannot be listed.
    """
    folder = _folder(log)
    if "://" not in log:
        place = Path(folder)
        found = sorted(place.glob(f"*{_ENDING}")) if place.is_dir() else []
        return [Entry(str(path), 0, "") for path in found]
    system = filesystem(log).fs
    system.invalidate_cache()
    try:
        listed = system.ls(folder, detail=True)
    except FileNotFoundError:
        return []
    return [
        Entry(system.unstrip_protocol(each["name"]), each["size"], repr(sorted(each.items(), key=str)))
        for each in listed
        if each["name"].endswith(_ENDING)
    ]


@dataclass(slots=True)
class Journal:
    """Writes the journal of one log."""

    log: str
    """Its path or address, as Inspect has it."""
    _written: list[str] = field(default_factory=list)

    async def add(self, task: str, number: int, members: Mapping[str, bytes]) -> None:
        """Write an attempt, by the names and contents of its members; it is there, whole, when this returns.

        Raises:
            Exception: whatever the file system raises; a file of this attempt may be left where its log is remote.
        """
        packed = io.BytesIO()
        with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=1) as archive:  # a tenth of what zstd takes for so little
            for name, content in members.items():
                archive.writestr(name, content)
        place = entry_of(self.log, task, number)
        if filesystem(self.log).is_local():
            _write_whole(Path(local_path(place)), packed.getvalue(), Path(local_path(self.log)))
        else:
            async with AsyncFilesystem() as system:
                await system.write_file(place, packed.getvalue())
        self._written.append(place)

    def clear(self) -> None:
        """The log has it all. What cannot be removed does no harm: whoever reads both takes an attempt once."""
        written, self._written = self._written, []
        if not written:
            return
        system = filesystem(self.log)
        with suppress(Exception):  # whatever the file system raises
            if system.is_local():
                shutil.rmtree(local_path(_folder(self.log)), ignore_errors=True)
            else:
                system.fs.rm(written)


def _folder(log: str) -> str:
    return f"{log.removesuffix('.eval')}.journal"


def _write_whole(path: Path, content: bytes, log: Path) -> None:
    """Under another name first, so that a process that is killed leaves nothing that looks like an entry.

    Raises:
        OSError: it cannot be written, or its log is not there: nobody looks for a journal without a log.
    """
    if not log.is_file():
        raise FileNotFoundError(f"{log} is not there")
    if not path.parent.exists():
        path.parent.mkdir()
    part = path.with_suffix(".part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
