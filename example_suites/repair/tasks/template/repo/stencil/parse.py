import re

TAG = re.compile(r'\{\{\s*(\w+)\s*(\|\s*raw\s*)?\}\}|\{%\s*include\s+"([^"]+)"\s*%\}')


def parts(source):
    """The template as a list of ("text", text), ("value", name), ("raw", name) and ("include", file)."""
    found, end = [], 0
    for match in TAG.finditer(source):
        if match.start() > end:
            found.append(("text", source[end : match.start()]))
        name, raw, file = match.groups()
        found.append(("include", file) if file else ("raw" if raw else "value", name))
        end = match.end()
    if end < len(source):
        found.append(("text", source[end:]))
    return found
