"""Two intervals, as pairs of start and end."""


def checked(start, end):
    if start >= end:
        raise ValueError(f"[{start}, {end}) is empty")
    return start, end


def overlap(one, other):
    """Whether they have a point in common."""
    return one[0] < other[1] and other[0] < one[1]


def span(one, other):
    """The smallest interval that holds both."""
    return min(one[0], other[0]), max(one[1], other[1])


def difference(one, other):
    """What is left of the first without the second, as a list."""
    if not overlap(one, other):
        return [one]
    if one[0] < other[0]:
        return [(one[0], other[0])]
    if other[1] < one[1]:
        return [(other[1], one[1])]
    return []
