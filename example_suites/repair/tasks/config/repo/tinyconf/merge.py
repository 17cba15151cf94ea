def merge(defaults, given):
    """The defaults with what is given over them."""
    merged = defaults
    merged.update(given)
    return merged
