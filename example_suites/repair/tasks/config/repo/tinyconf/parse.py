from tinyconf.values import value_of


def parse(text):
    """The sections of a text as dictionaries; keys before the first section stand at the top."""
    found = {}
    section = found
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1].strip(), {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"line {number} is no `key = value`: {line}")
        section[key.strip()] = value_of(value.strip())
    return found
