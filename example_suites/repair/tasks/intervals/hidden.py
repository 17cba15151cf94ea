import unittest

from intervals import IntervalSet


class Hidden(unittest.TestCase):
    def test_a_hole_leaves_both_sides(self):
        found = IntervalSet([(0, 10)])
        found.remove(3, 5)
        self.assertEqual(list(found), [(0, 3), (5, 10)])

    def test_a_hole_over_several_parts(self):
        found = IntervalSet([(0, 4), (6, 8), (10, 14)])
        found.remove(2, 12)
        self.assertEqual(list(found), [(0, 2), (12, 14)])

    def test_parts_that_touch_are_joined(self):
        self.assertEqual(list(IntervalSet([(0, 3), (3, 5)])), [(0, 5)])
        self.assertEqual(list(IntervalSet([(3, 5), (0, 3)])), [(0, 5)])

    def test_a_gap_is_filled(self):
        self.assertEqual(list(IntervalSet([(0, 3), (5, 8), (3, 5)])), [(0, 8)])

    def test_a_hole_beside_a_part_takes_nothing(self):
        found = IntervalSet([(0, 3)])
        found.remove(3, 5)
        self.assertEqual(list(found), [(0, 3)])

    def test_parts_apart_stay_apart(self):
        self.assertEqual(list(IntervalSet([(0, 3), (4, 5)])), [(0, 3), (4, 5)])

    def test_an_empty_interval_is_refused(self):
        with self.assertRaises(ValueError):
            IntervalSet([(3, 3)])
