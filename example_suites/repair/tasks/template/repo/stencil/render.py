from stencil.escape import escape
from stencil.parse import parts


def render(source, values, files=None):
    """The template with its values in place.

    Values that are no text are written as `str` does; a name without a value is left empty.
    """
    rendered = []
    for kind, content in parts(source):
        if kind == "text":
            rendered.append(content)
        elif kind == "include":
            inner = {name: escape(str(value)) for name, value in values.items()}
            rendered.append(render((files or {})[content], inner, files))
        else:
            value = str(values.get(content, ""))
            rendered.append(value if kind == "raw" else escape(value))
    return "".join(rendered)
