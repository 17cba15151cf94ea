import unittest

from stencil import render


class TestRender(unittest.TestCase):
    def test_values_are_escaped(self):
        self.assertEqual(render("<b>{{ x }}</b>", {"x": "a < b & c"}), "<b>a &lt; b &amp; c</b>")

    def test_raw_values_are_not(self):
        self.assertEqual(render("{{ x | raw }}{{y}}", {"x": "<i>", "y": 3}), "<i>3")

    def test_a_template_can_be_included(self):
        self.assertEqual(render('{% include "x" %}!', {"a": 1}, {"x": "[{{ a }}]"}), "[1]!")
