"""The roll of a run: every task that was selected, also those of other suites and shards.

Every log carries it, so that whoever merges logs knows what a lost log or shard would have held. It is packed, because
a run has a log for every suite.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache

from pydantic import TypeAdapter

from pytest_agenteval.record.stored import StoredTask

__all__ = ["pack", "unpack"]

_MOST = 16 * 2**20
"""Bytes that a roll may unpack to: a hundred thousand tasks. More means damage."""
_TASKS: TypeAdapter[tuple[StoredTask, ...]] = TypeAdapter(tuple[StoredTask, ...])


def pack(tasks: Iterable[StoredTask]) -> str:
    """The tasks as a text."""
    return b64encode(zlib.compress(_TASKS.dump_json(tuple(tasks), exclude_defaults=True))).decode()


@lru_cache(maxsize=64)
def unpack(text: str) -> tuple[StoredTask, ...]:
    """The tasks that :func:`pack` made a text of; the same object for the same text.

    Raises:
        ValueError: it is damaged.
    """
    if not text:
        return ()
    try:
        opened = zlib.decompressobj()
        data = opened.decompress(b64decode(text, validate=True), _MOST)
        if not opened.eof:
            raise ValueError("it is cut off, or too large")
        return _TASKS.validate_json(data)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ValueError(str(error).splitlines()[0]) from None
