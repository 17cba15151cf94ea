"""Which shard a task belongs to, the same on every machine and when other tasks are added; and the shards in words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["shard_of", "shards_named"]


def shard_of(name: str, shards: int) -> int:
    """The part, from 1 to `shards`, that a test belongs to, by its name without the cell."""
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") % shards + 1


def shards_named(parts: Sequence[int], shards: int) -> str:
    """Some of the parts in words: `shard 3 of 3`, `shards 1 and 2 of 3`."""
    *first, last = map(str, parts)
    return f"shards {', '.join(first)} and {last} of {shards}" if first else f"shard {last} of {shards}"
