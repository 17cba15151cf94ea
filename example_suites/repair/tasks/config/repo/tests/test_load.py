import unittest

from tinyconf import load, parse


class TestLoad(unittest.TestCase):
    def test_values(self):
        self.assertEqual(parse("a = 1\nb = x, 2\n[c]\nd = true  # yes\n"), {"a": 1, "b": ["x", 2], "c": {"d": True}})

    def test_what_is_given_wins(self):
        self.assertEqual(load("debug = true", {"debug": False, "name": "x"}), {"debug": True, "name": "x"})
