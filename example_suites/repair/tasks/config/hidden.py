import copy
import unittest

from tinyconf import load

DEFAULTS = {"server": {"host": "localhost", "port": 80, "tls": {"on": False}}, "debug": False, "tags": ["a"]}


class Hidden(unittest.TestCase):
    def setUp(self):
        self.defaults = copy.deepcopy(DEFAULTS)

    def test_sections_are_merged_key_by_key(self):
        found = load("[server]\nport = 8080\n", self.defaults)
        self.assertEqual(found["server"], {"host": "localhost", "port": 8080, "tls": {"on": False}})

    def test_a_call_leaves_the_defaults_alone(self):
        load("debug = true\n[server]\nport = 8080\n[new]\nx = 1\n", self.defaults)
        self.assertEqual(self.defaults, DEFAULTS)

    def test_changing_what_came_out_leaves_the_defaults_alone(self):
        found = load("", self.defaults)
        found["server"]["tls"]["on"] = True
        found["tags"].append("b")
        self.assertEqual(self.defaults, DEFAULTS)

    def test_two_calls_do_not_meet(self):
        load("[server]\nport = 1\n", self.defaults)
        self.assertEqual(load("", self.defaults), DEFAULTS)

    def test_a_list_is_replaced(self):
        self.assertEqual(load("tags = b, c", self.defaults)["tags"], ["b", "c"])

    def test_a_section_replaces_what_is_no_section(self):
        self.assertEqual(load("[debug]\nlevel = 3\n", self.defaults)["debug"], {"level": 3})
        self.assertEqual(load("server = none", self.defaults)["server"], "none")
