"""Makes matplotlib's SVG fit for a page: its colours follow the page, without style attributes or clashing
identifiers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

__all__ = ["ACCENT", "BAND", "INK", "MUTED", "PALE", "WIDE_BAND", "fit_for_page"]

INK, MUTED, PALE, ACCENT, BAND, WIDE_BAND = (f"#00000{i}" for i in range(1, 7))
"""Colours to draw with: each stands for a colour of the page, which knows light and dark."""

_NAMES = {INK: "ink", MUTED: "muted", PALE: "line", ACCENT: "accent", BAND: "band", WIDE_BAND: "wide-band"}
_KEPT = {
    "clip-path", "fill", "fill-opacity", "font-size", "font-weight", "opacity", "stroke", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "stroke-opacity", "stroke-width", "text-anchor",
}  # fmt: skip
_REFERENCE = re.compile(r"(url\(#|^#)")


def fit_for_page(svg: str, name: str, label: str, titles: Mapping[str, str]) -> str:
    """The drawing as an element that a page with a policy against inline styles can contain.

    Args:
        svg: the output of matplotlib.
        name: the prefix of every identifier; unique in the page.
        label: what the figure shows, for readers who cannot see it.
        titles: by the gid of a drawn element, the text shown when the pointer is on it.
    """
    root = ElementTree.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style") or _invisible(child):
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        gid = element.get("id", "")
        _rewrite(element, name)
        if gid in titles:
            title = ElementTree.Element("title")
            title.text = titles[gid]
            element.insert(0, title)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _rewrite(element: ElementTree.Element, name: str) -> None:
    attributes = {_local(key): " ".join(value.split()) for key, value in element.attrib.items()}
    for declaration in attributes.pop("style", "").split(";"):
        key, colon, value = declaration.partition(":")
        if colon and key.strip() in _KEPT:
            attributes[key.strip()] = value.strip()
    for key, value in attributes.items():
        if value in _NAMES:
            attributes[key] = f"var(--{_NAMES[value]})"
        elif key == "id":
            attributes[key] = f"{name}-{value}"
        elif key == "href" or value.startswith("url(#"):
            attributes[key] = _REFERENCE.sub(rf"\g<1>{name}-", value)
    element.attrib.clear()
    element.attrib.update(attributes)


def _invisible(element: ElementTree.Element) -> bool:
    return element.get("style") == "fill: none" and _local(element.tag) == "path"


def _local(name: str) -> str:
    return name.rpartition("}")[2]
