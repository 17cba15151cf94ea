from tinyconf.merge import merge
from tinyconf.parse import parse

__all__ = ["load", "merge", "parse"]


def load(text, defaults):
    """The configuration in the text, with defaults for what it does not set."""
    return merge(defaults, parse(text))
