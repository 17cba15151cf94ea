from collections import OrderedDict

from ttlcache.clock import SystemClock
from ttlcache.entry import Entry


class Cache:
    """At most `size` entries, each for `seconds` after it was set."""

    def __init__(self, size, seconds, clock=None):
        self.size = size
        self.seconds = seconds
        self.clock = clock or SystemClock()
        self._entries = OrderedDict()

    def get(self, key, default=None):
        """The value of a key, or the default where there is none that is still good."""
        entry = self._entries.get(key)
        if entry is None or entry.expired(self.clock.now):
            return default
        self._entries.move_to_end(key)
        return entry.value

    def set(self, key, value):
        """Keep a value; when the cache is full, the entry used least recently goes."""
        self._entries[key] = Entry(value, self.clock.now + self.seconds)
        self._entries.move_to_end(key)
        while len(self._entries) > self.size:
            self._entries.popitem(last=False)

    def __len__(self):
        return len(self._entries)
