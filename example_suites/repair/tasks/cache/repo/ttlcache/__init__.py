from ttlcache.cache import Cache
from ttlcache.clock import ManualClock, SystemClock

__all__ = ["Cache", "ManualClock", "SystemClock"]
