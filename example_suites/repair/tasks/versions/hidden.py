import itertools
import unittest

from versions import Version, newest, satisfying

# the example of precedence in Semantic Versioning 2.0.0, section 11, and more
ORDERED = [
    "1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
    "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-alpha", "1.0.1",
]  # fmt: skip


class Hidden(unittest.TestCase):
    def test_every_pair_in_order(self):
        for older, newer in itertools.combinations(ORDERED, 2):
            with self.subTest(older=older, newer=newer):
                self.assertLess(Version(older), Version(newer))
                self.assertGreater(Version(newer), Version(older))
                self.assertNotEqual(Version(newer), Version(older))

    def test_the_newest(self):
        self.assertEqual(newest(["1.0.0", "1.0.0-rc.1"]), "1.0.0")
        self.assertEqual(newest(["1.0.0-rc.9", "1.0.0-rc.10"]), "1.0.0-rc.10")

    def test_build_metadata_does_not_count(self):
        self.assertEqual(Version("1.0.0+a"), Version("1.0.0+b"))
        self.assertEqual(hash(Version("1.0.0-rc.1+a")), hash(Version("1.0.0-rc.1")))
        self.assertLess(Version("1.0.0-rc.1+z"), Version("1.0.0+a"))

    def test_capitals_come_before_small_letters(self):
        self.assertLess(Version("1.0.0-B"), Version("1.0.0-a"))

    def test_numbers_of_a_release_still_compare_by_size(self):
        self.assertEqual(satisfying(["1.10.0", "1.9.0", "1.2.30"], "1.9.0"), ["1.9.0", "1.10.0"])
