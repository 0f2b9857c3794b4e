"""Knows how many bytes an account has moved in the last thirty days, from what its tasks noted.

The service allows an ordinary account 12 TB in any thirty days, and slows down one that takes more:
https://documentation.dataspace.copernicus.eu/Quotas.html
"""

from __future__ import annotations

import math
import re
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import QuotaReachedError
from copernicus_dataspace.models.byte_sizes import gigabytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from copernicus_dataspace.http.statistics import TransferStatistics
    from copernicus_dataspace.storage.store import Store

_USAGE: Final = "runs/.usage"
PERIOD_DAYS: Final = 30
_FAR_DAYS: Final = 365
"""No clock is so far behind that a day beyond is one of today."""
_LOOK_EVERY_S: Final = 60.0
_NOTE: Final = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})/(?P<bytes>\d{1,18})-[0-9a-f]{12}")


class Usage:
    """The notes of one account's transfers in a store.

    A note is an empty file whose name holds the bytes, in a folder for its day: adding one disturbs
    nobody, and all are summed by listing them.
    """

    def __init__(self, store: Store, account_id: str) -> None:
        """Use the notes of an account."""
        self._store = store
        self._dir = f"{_USAGE}/{account_id}"

    def add(self, moved_bytes: int) -> None:
        """Note that so many bytes were moved just now."""
        if moved_bytes:
            name = f"{datetime.now(UTC):%Y-%m-%d}/{moved_bytes}-{uuid.uuid4().hex[:12]}"
            self._store.write(f"{self._dir}/{name}", b"")

    def total_bytes(self) -> int:
        """Return the bytes of the last thirty days and of what began of the day before them."""
        first, last = _days()
        return sum(size_bytes for day, size_bytes in self._notes() if first <= day <= last)

    def sweep(self) -> int:
        """Remove the notes that no longer count; return the bytes of those that do.

        What lies ahead stays for a year: this host's clock may be the one that is wrong.
        """
        (first, last), notes = _days(), self._notes()
        for day in {day for day, _ in notes if not first <= day <= _day(_FAR_DAYS)}:
            self._store.delete(f"{self._dir}/{day}")
        return sum(size_bytes for day, size_bytes in notes if first <= day <= last)

    def _notes(self) -> list[tuple[str, int]]:
        found = (_NOTE.fullmatch(path) for path in self._store.sizes(self._dir))
        return [(note["day"], int(note["bytes"])) for note in found if note]


class Quota:
    """Lets transfers begin while an account may move more; may be used by several threads."""

    def __init__(
        self,
        usage: Usage,
        limit_bytes: float,
        statistics: TransferStatistics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to watch what a client moves.

        Args:
            usage: What all tasks of the account have noted.
            limit_bytes: What they may move in thirty days.
            statistics: What this client moves.
            clock: Seconds from any fixed point.
        """
        self._usage = usage
        self._limit_bytes = limit_bytes
        self._statistics = statistics
        self._clock = clock
        self._noted_bytes = 0
        self._total_bytes = 0
        self._look_at = -math.inf
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse another transfer where the account has moved what it may.

        Notes what was moved, and looks at the notes of others, once in a minute.

        Raises:
            QuotaReachedError: It has.
        """
        with self._lock:
            if self._clock() >= self._look_at:
                self._note()
                self._total_bytes = self._usage.total_bytes()
                self._look_at = self._clock() + _LOOK_EVERY_S
            moved_bytes = self._total_bytes + self._statistics.bytes - self._noted_bytes
        if moved_bytes >= self._limit_bytes:
            message = (
                f"{gigabytes(moved_bytes)} were moved into this output with this account in the "
                f"last {PERIOD_DAYS} days, and the connection lets it move "
                f"{gigabytes(self._limit_bytes)} (quota_gb). No new transfer begins until it is "
                "less."
            )
            raise QuotaReachedError(message)

    def note(self) -> None:
        """Note what was moved since the last time."""
        with self._lock:
            self._note()

    def _note(self) -> None:
        moved_bytes = self._statistics.bytes
        self._usage.add(moved_bytes - self._noted_bytes)
        self._total_bytes += moved_bytes - self._noted_bytes
        self._noted_bytes = moved_bytes


def sweep_usage(store: Store) -> None:
    """Remove the notes that no longer count, of all accounts."""
    for account_id in store.folders(_USAGE):
        Usage(store, account_id).sweep()


def _days() -> tuple[str, str]:
    """Return the first and the last day that count: a clock may be ahead, but by no day."""
    return _day(-PERIOD_DAYS), _day(1)


def _day(days: int) -> str:
    """Return the day that is so many days from now."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
