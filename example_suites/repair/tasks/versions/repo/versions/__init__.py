from versions.choose import newest, satisfying
from versions.version import Version

__all__ = ["Version", "newest", "satisfying"]
