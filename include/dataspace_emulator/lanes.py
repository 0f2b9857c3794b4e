"""How an account's transfers go: how many at once, and how fast above its monthly quota."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from dataspace_emulator.slots import Slots
from dataspace_emulator.wire import Response

_SLOW_BYTES_PER_S: Final = 1_000_000
_SLOW_CONNECTIONS: Final = 1
_OVER: Final = timedelta(days=30)
_LOOKED_AT_EVERY: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Moved:
    """What an account moved, and whether that was too much when it was last looked at."""

    transfers: deque[tuple[datetime, int]] = field(default_factory=deque)
    looked_at: datetime | None = None
    is_over: bool = False


@dataclass(slots=True)
class Lanes:
    """Begins transfers, which count until they end.

    An account that moved more than ``quota_bytes`` in thirty days of the calendar, looked at once
    an hour of it, has one connection of 1 MB/s.
    """

    slots: Slots
    quota_bytes: float
    clock: Callable[[], datetime]
    _moved: dict[str, _Moved] = field(default_factory=lambda: defaultdict(_Moved))

    def enter(self, account: str, response: Response) -> bool:
        """Begin the transfer of an answer; False if the account has too many."""
        is_slow = self._is_over(account)
        if not self.slots.take(account, _SLOW_CONNECTIONS if is_slow else self.slots.most):
            return False
        response.on_last = lambda: self.slots.give_back(account)
        response.on_sent = lambda size: self._moved[account].transfers.append((self.clock(), size))
        if is_slow:
            response.bytes_per_s = _SLOW_BYTES_PER_S
        return True

    def _is_over(self, account: str) -> bool:
        moved, now = self._moved[account], self.clock()
        if moved.looked_at is not None and abs(now - moved.looked_at) < _LOOKED_AT_EVERY:
            return moved.is_over
        while moved.transfers and moved.transfers[0][0] <= now - _OVER:
            moved.transfers.popleft()
        moved.looked_at = now
        moved.is_over = sum(size for _, size in list(moved.transfers)) > self.quota_bytes
        return moved.is_over
