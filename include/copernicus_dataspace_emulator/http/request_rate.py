"""Rate limits of a service."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """At most ``most`` requests in any period of ``seconds``; refused ones do not count."""

    most: int
    seconds: float
    _taken: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, number: float, seconds: float) -> "Rate":
        """Create a limit of requests per period; fractions below one extend the period."""
        most = max(1, int(number))
        return cls(most, seconds * most / number)

    def take(self) -> bool:
        """Tell whether another request is allowed now."""
        with self._lock:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - self.seconds:
                self._taken.popleft()
            if len(self._taken) >= self.most:
                return False
            self._taken.append(now)
            return True
