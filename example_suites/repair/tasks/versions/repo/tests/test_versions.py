import unittest

from versions import Version, newest, satisfying


class TestVersions(unittest.TestCase):
    def test_numbers_are_compared_by_size(self):
        self.assertEqual(newest(["1.9.0", "1.10.0", "1.2.30"]), "1.10.0")

    def test_those_that_are_new_enough(self):
        self.assertEqual(satisfying(["2.0.0", "1.0.0", "1.5.0"], "1.5.0"), ["1.5.0", "2.0.0"])

    def test_what_is_no_version(self):
        with self.assertRaises(ValueError):
            Version("1.0")
