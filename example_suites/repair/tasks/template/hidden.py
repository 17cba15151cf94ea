import unittest

from stencil import render

FILES = {"inner": "<i>{{ name }}</i>", "raw": "{{ name | raw }}", "outer": '({% include "inner" %})'}


class Hidden(unittest.TestCase):
    def test_both_kinds_of_quotes_are_escaped(self):
        found = render('<a title="{{ t }}">', {"t": "\" onclick='x"})
        self.assertEqual(found, '<a title="&quot; onclick=&#x27;x">')

    def test_an_included_value_is_escaped_once(self):
        self.assertEqual(render('{% include "inner" %}', {"name": "a & b"}, FILES), "<i>a &amp; b</i>")

    def test_a_template_in_an_included_one_too(self):
        self.assertEqual(render('{% include "outer" %}', {"name": "<"}, FILES), "(<i>&lt;</i>)")

    def test_raw_stays_raw_in_an_included_template(self):
        self.assertEqual(render('{% include "raw" %}', {"name": '<b> & "c"'}, FILES), '<b> & "c"')

    def test_an_ampersand_is_escaped_first(self):
        self.assertEqual(render("{{ x }}", {"x": "&lt; <"}), "&amp;lt; &lt;")

    def test_text_that_looks_like_a_tag_in_a_value_stays_text(self):
        self.assertEqual(render("{{ x }}", {"x": "{{ y }}", "y": "no"}), "{{ y }}")

    def test_what_has_no_value_is_empty(self):
        self.assertEqual(render("[{{ x }}]", {}), "[]")
