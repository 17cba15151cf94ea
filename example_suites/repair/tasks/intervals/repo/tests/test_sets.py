import unittest

from intervals import IntervalSet


class TestSets(unittest.TestCase):
    def test_overlapping_parts_are_joined(self):
        self.assertEqual(list(IntervalSet([(0, 3), (2, 5), (8, 9)])), [(0, 5), (8, 9)])

    def test_the_ends_can_be_removed(self):
        found = IntervalSet([(0, 10)])
        found.remove(-1, 2)
        found.remove(8, 12)
        self.assertEqual(list(found), [(2, 8)])

    def test_the_end_does_not_belong_to_it(self):
        self.assertIn(0, IntervalSet([(0, 3)]))
        self.assertNotIn(3, IntervalSet([(0, 3)]))
