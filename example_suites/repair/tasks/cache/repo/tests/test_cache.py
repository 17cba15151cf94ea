import unittest

from ttlcache import Cache, ManualClock


class TestCache(unittest.TestCase):
    def test_an_entry_expires(self):
        clock = ManualClock()
        cache = Cache(size=2, seconds=10, clock=clock)
        cache.set("a", 1)
        self.assertEqual(cache.get("a"), 1)
        clock.now = 10
        self.assertIsNone(cache.get("a"))

    def test_the_least_recently_used_goes(self):
        cache = Cache(size=2, seconds=10, clock=ManualClock())
        for key in "abc":
            cache.set(key, key)
        self.assertEqual([cache.get(key) for key in "abc"], [None, "b", "c"])
