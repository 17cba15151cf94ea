import time


class SystemClock:
    """The time in seconds since some moment."""

    @property
    def now(self):
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is set."""

    def __init__(self, now=0.0):
        self.now = now
