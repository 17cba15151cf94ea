"""How the documentation is built: `sphinx-build -W -b html docs site`."""

import re
from importlib.metadata import version as version_of

project = "pytest-agenteval"
author = "the maintainers of pytest-agenteval"
version = release = version_of("pytest-agenteval")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

add_module_names = False  # users import from the package, and need not know in which module a name lives
autodoc_typehints = "signature"
autodoc_type_aliases = {"ChatMessage": "ChatMessage"}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "pytest-agenteval"
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/pytest-agenteval/pytest-agenteval",
    "source_branch": "main",
    "source_directory": "docs/",
}


def _code_in_docstrings(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Docstrings write code between single backticks, as the rest of the documentation does."""
    if what == "module":  # the page says what the module's docstring does
        lines.clear()
    lines[:] = [re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`_])", r"``\1``", line) for line in lines]


def _plain_signatures(app, what, name, obj, options, signature, returned):  # type: ignore[no-untyped-def]
    """Aliases by their names, and no parameters of a class that nobody but the plugin makes: some are private."""
    if what == "class" and re.search(r"[(, ]_\w", signature or ""):
        return "", returned
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (signature, returned))


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx. Before napoleon, which takes what stands before a colon for a type."""
    app.connect("autodoc-process-docstring", _code_in_docstrings, priority=1)
    app.connect("autodoc-process-signature", _plain_signatures)
