"""Short digests, by which a later run tells whether something is still the same."""

from __future__ import annotations

import hashlib

__all__ = ["digest"]


def digest(content: str | bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a content; a text goes into it as UTF-8."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:16]
