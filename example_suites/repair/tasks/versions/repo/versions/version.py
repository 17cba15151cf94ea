import re
from functools import total_ordering

PATTERN = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")


@total_ordering
class Version:
    """One version; versions compare by age."""

    def __init__(self, text):
        match = PATTERN.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no version")
        self.release = tuple(int(match[i]) for i in (1, 2, 3))
        self.pre = match[4] or ""
        self.build = match[5] or ""

    def _key(self):
        return self.release, self.pre, self.build

    def __eq__(self, other):
        return self._key() == other._key()

    def __lt__(self, other):
        return self._key() < other._key()

    def __hash__(self):
        return hash(self._key())
