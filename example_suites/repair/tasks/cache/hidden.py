import unittest

from ttlcache import Cache, ManualClock


class Hidden(unittest.TestCase):
    def setUp(self):
        self.clock = ManualClock()
        self.cache = Cache(size=2, seconds=10, clock=self.clock)

    def test_expired_entries_go_first(self):
        self.cache.set("a", 1)
        self.clock.now = 9
        self.cache.set("b", 2)
        self.cache.get("a")
        self.clock.now = 11
        self.cache.set("c", 3)
        self.assertEqual([self.cache.get(key) for key in "abc"], [None, 2, 3])

    def test_expired_entries_do_not_count(self):
        self.cache.set("a", 1)
        self.clock.now = 5
        self.cache.set("b", 2)
        self.assertEqual(len(self.cache), 2)
        self.clock.now = 10
        self.assertEqual(len(self.cache), 1)

    def test_the_least_recently_used_still_goes(self):
        self.cache.set("a", 1)
        self.cache.set("b", 2)
        self.cache.get("a")
        self.cache.set("c", 3)
        self.assertEqual([self.cache.get(key) for key in "abc"], [1, None, 3])

    def test_setting_a_key_again_keeps_the_others(self):
        self.cache.set("a", 1)
        self.cache.set("b", 2)
        self.cache.set("b", 3)
        self.assertEqual([self.cache.get(key) for key in "ab"], [1, 3])

    def test_a_key_set_again_lives_on(self):
        self.cache.set("a", 1)
        self.clock.now = 9
        self.cache.set("a", 2)
        self.clock.now = 18
        self.assertEqual(self.cache.get("a"), 2)
