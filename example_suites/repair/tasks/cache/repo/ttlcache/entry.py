class Entry:
    """A value and when it expires."""

    def __init__(self, value, expires):
        self.value = value
        self.expires = expires

    def expired(self, now):
        return now >= self.expires
