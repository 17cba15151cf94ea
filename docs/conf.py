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

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = "pytest-agenteval"
html_theme_options = {
    "source_repository": "https://github.com/pytest-agenteval/pytest-agenteval",
    "source_branch": "main",
    "source_directory": "docs/",
}


def _code_in_docstrings(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Docstrings write code between single backticks, as the rest of the documentation does."""
    lines[:] = [re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`_])", r"``\1``", line) for line in lines]


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx. Before napoleon, which takes what stands before a colon for a type."""
    app.connect("autodoc-process-docstring", _code_in_docstrings, priority=1)
