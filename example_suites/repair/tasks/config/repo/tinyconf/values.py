def value_of(text):
    """A value as its text says: number, truth, list or text."""
    if "," in text:
        return [value_of(part.strip()) for part in text.split(",") if part.strip()]
    if text in ("true", "false"):
        return text == "true"
    if text.lstrip("-").isdigit():
        return int(text)
    return text
