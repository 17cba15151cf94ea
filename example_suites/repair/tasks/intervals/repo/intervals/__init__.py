from intervals.sets import IntervalSet

__all__ = ["IntervalSet"]
