"""Concurrency and throttling of an account's transfers."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from copernicus_dataspace_emulator.download.slots import Slots
from copernicus_dataspace_emulator.http.messages import Response

_SLOW_BYTES_PER_S: Final = 1_000_000
_SLOW_CONNECTIONS: Final = 1
_OVER: Final = timedelta(days=30)


@dataclass(slots=True)
class _Account:
    """Transferred bytes by hour, and the result of the last count."""

    moved: Counter[datetime] = field(default_factory=Counter)
    counted_in: datetime | None = None
    is_over: bool = False


@dataclass(slots=True)
class Lanes:
    """Starts transfers, and counts them until they end.

    An account that transferred more than ``quota_bytes`` in thirty days, counted once per hour,
    gets one connection of 1 MB/s.
    """

    slots: Slots
    quota_bytes: float
    clock: Callable[[], datetime]
    _accounts: dict[str, _Account] = field(default_factory=lambda: defaultdict(_Account))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, account: str, response: Response) -> bool:
        """Start the transfer of a response; False if the account has too many."""
        is_slow = self._is_over(account)
        if not self.slots.take(account, _SLOW_CONNECTIONS if is_slow else self.slots.most):
            return False
        response.on_last = lambda: self.slots.give_back(account)
        response.on_sent = lambda size: self._count(account, size)
        if is_slow:
            response.bytes_per_s = _SLOW_BYTES_PER_S
        return True

    def _count(self, account: str, size: int) -> None:
        hour = _hour(self.clock())
        with self._lock:
            self._accounts[account].moved[hour] += size

    def _is_over(self, account: str) -> bool:
        hour = _hour(self.clock())
        with self._lock:
            found = self._accounts[account]
            if found.counted_in != hour:
                since = hour - _OVER
                moved = sum(size for when, size in found.moved.items() if since < when <= hour)
                found.counted_in, found.is_over = hour, moved > self.quota_bytes
            return found.is_over


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
