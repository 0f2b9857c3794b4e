"""Counts the concurrent transfers of accounts."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Slots:
    """Transfer slots by account; a slot may be freed some seconds after its transfer."""

    most: int
    late_release_s: float
    peak: int = 0
    _busy: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _late: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, account: str, most: int) -> bool:
        """Start a transfer; False if the account has too many (also counted in the peak)."""
        with self._lock:
            now = time.monotonic()
            self._late[account] = [until for until in self._late[account] if until > now]
            self.peak = max(self.peak, self._busy[account] + 1)
            if self._busy[account] + len(self._late[account]) >= most:
                return False
            self._busy[account] += 1
            return True

    def give_back(self, account: str) -> None:
        """End a transfer."""
        with self._lock:
            self._busy[account] -= 1
            self._late[account].append(time.monotonic() + self.late_release_s)
