from intervals.algebra import checked, difference, overlap, span


class IntervalSet:
    """A set of numbers that is made of intervals."""

    def __init__(self, parts=()):
        self._parts = []
        for start, end in parts:
            self.add(start, end)

    def add(self, start, end):
        """Add all numbers from start up to end."""
        new = checked(start, end)
        kept = []
        for part in self._parts:
            if overlap(part, new):
                new = span(part, new)
            else:
                kept.append(part)
        self._parts = sorted([*kept, new])

    def remove(self, start, end):
        """Remove all numbers from start up to end."""
        hole = checked(start, end)
        self._parts = [left for part in self._parts for left in difference(part, hole)]

    def __contains__(self, number):
        return any(start <= number < end for start, end in self._parts)

    def __iter__(self):
        return iter(self._parts)
