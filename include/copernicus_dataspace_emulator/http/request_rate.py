"""How many requests a service takes in a stretch of time."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """At most ``most`` requests in any ``seconds`` on end; refused ones do not count."""

    most: int
    seconds: float
    _taken: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, number: float, seconds: float) -> "Rate":
        """So many requests in so many seconds; of less than one, one in the time it takes."""
        most = max(1, int(number))
        return cls(most, seconds * most / number)

    def take(self) -> bool:
        """Whether one more request is let through now."""
        with self._lock:
            now = time.monotonic()
            while self._taken and self._taken[0] <= now - self.seconds:
                self._taken.popleft()
            if len(self._taken) >= self.most:
                return False
            self._taken.append(now)
            return True
