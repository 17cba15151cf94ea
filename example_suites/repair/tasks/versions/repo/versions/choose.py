from versions.version import Version


def newest(texts):
    """The newest of several versions, as it was written."""
    return max(texts, key=Version)


def satisfying(texts, at_least):
    """Those that are at least as new as a version, oldest first."""
    return sorted((text for text in texts if Version(text) >= Version(at_least)), key=Version)
