"""Markdown as GitHub renders it: GitHub's own fork of cmark, and the rules of its style sheet that decide on width."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import cmarkgfm
from cmarkgfm.cmark import Options

__all__ = ["comment_page", "rendered", "tree"]

_STYLE = """
body { margin: 0; padding: 16px; font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; padding: 16px; overflow-wrap: break-word }
h2 { padding-bottom: .3em; font-size: 1.5em; border-bottom: 1px solid #d1d9e0; margin: 24px 0 16px }
h3 { font-size: 1.25em; margin: 24px 0 16px }
p, ul, table, pre, details { margin: 0 0 16px }
ul { padding-left: 2em }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0;
        border-collapse: collapse; font-variant: tabular-nums }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0 }
th { font-weight: 600 }
tr:nth-child(2n) { background: #f6f8fa }
code, samp, pre { font: 85% ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace }
code { padding: .2em .4em; white-space: break-spaces; background: #818b981f; border-radius: 6px }
pre { padding: 16px; overflow: auto; line-height: 1.45; background: #f6f8fa; border-radius: 6px }
a { color: #0969da }
"""


def rendered(markdown: str) -> str:
    """The HTML of a comment, where each end of a line is a break."""
    options = Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_HARDBREAKS
    return str(cmarkgfm.github_flavored_markdown_to_html(markdown, options=options))


def tree(markdown: str) -> ElementTree.Element:
    """The rendered page; that it is well-formed shows that no text opened or closed an element."""
    html = re.sub(r"<(br|wbr)( ?/)?>", r"<\1/>", rendered(markdown)).replace("&nbsp;", "&#160;")
    return ElementTree.fromstring(f"<page>{html}</page>")


def comment_page(markdown: str) -> str:
    """A page with one comment."""
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head>"
        f'<body><div class="comment">{rendered(markdown)}</div></body></html>'
    )
