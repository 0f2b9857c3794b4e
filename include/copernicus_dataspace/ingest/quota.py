"""30-day download quota of an account, from usage records in the store.

The service allows an ordinary account 12 TB in any thirty days, and throttles it beyond that:
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

    from copernicus_dataspace.storage.store import Store
    from copernicus_dataspace.transfer_statistics import TransferStatistics

_USAGE: Final = "runs/.usage"
PERIOD_DAYS: Final = 30
_FAR_DAYS: Final = 365
"""Records further ahead are removed; nearer ones may be right and this clock behind."""
_LOOK_EVERY_S: Final = 60.0
_NOTE: Final = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})/(?P<bytes>\d{1,18})-[0-9a-f]{12}")


class Usage:
    """The usage records of one account in a store.

    A record is an empty file whose name holds the bytes, in a folder for its day: writes never
    conflict, and a listing gives the sum.
    """

    def __init__(self, store: Store, account_id: str) -> None:
        """Use the records of an account."""
        self._store = store
        self._dir = f"{_USAGE}/{account_id}"

    def add(self, moved_bytes: int) -> None:
        """Record bytes transferred now."""
        if moved_bytes:
            name = f"{datetime.now(UTC):%Y-%m-%d}/{moved_bytes}-{uuid.uuid4().hex[:12]}"
            self._store.write(f"{self._dir}/{name}", b"")

    def total_bytes(self) -> int:
        """Return the bytes of the last thirty days, and of the partial day before them."""
        first, last = _days()
        return sum(size_bytes for day, size_bytes in self._notes() if first <= day <= last)

    def sweep(self) -> int:
        """Remove expired records; return the bytes of the others.

        Records from the future are kept for a year: this host's clock may be wrong.
        """
        (first, last), notes = _days(), self._notes()
        for day in {day for day, _ in notes if not first <= day <= _day(_FAR_DAYS)}:
            self._store.delete(f"{self._dir}/{day}")
        return sum(size_bytes for day, size_bytes in notes if first <= day <= last)

    def _notes(self) -> list[tuple[str, int]]:
        found = (_NOTE.fullmatch(path) for path in self._store.sizes(self._dir))
        return [(note["day"], int(note["bytes"])) for note in found if note]


class Quota:
    """Refuses transfers once the account's quota is used up; thread-safe."""

    def __init__(
        self,
        usage: Usage,
        limit_bytes: float,
        statistics: TransferStatistics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch the transfers of a client.

        Args:
            usage: Usage records of the account.
            limit_bytes: Quota for thirty days.
            statistics: Transfer statistics of this client.
            clock: Monotonic clock in seconds.
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
        """Refuse another transfer if the quota is used up.

        Writes and reads the usage records at most once per minute.

        Raises:
            QuotaReachedError: The quota is used up.
        """
        with self._lock:
            if self._clock() >= self._look_at:
                self._note()
                self._total_bytes = self._usage.total_bytes()
                self._look_at = self._clock() + _LOOK_EVERY_S
            moved_bytes = self._total_bytes + self._statistics.bytes - self._noted_bytes
        if moved_bytes >= self._limit_bytes:
            message = (
                f"{gigabytes(moved_bytes)} were transferred to this output with this account in "
                f"the last {PERIOD_DAYS} days; the quota is {gigabytes(self._limit_bytes)} "
                "(quota_gb). No new transfer starts until usage is below the quota."
            )
            raise QuotaReachedError(message)

    def note(self) -> None:
        """Record what was transferred since the last call."""
        with self._lock:
            self._note()

    def _note(self) -> None:
        moved_bytes = self._statistics.bytes
        self._usage.add(moved_bytes - self._noted_bytes)
        self._total_bytes += moved_bytes - self._noted_bytes
        self._noted_bytes = moved_bytes


def sweep_usage(store: Store) -> None:
    """Remove expired usage records of all accounts."""
    for account_id in store.folders(_USAGE):
        Usage(store, account_id).sweep()


def _days() -> tuple[str, str]:
    """Return the first and the last day that count; clocks may be up to a day ahead."""
    return _day(-PERIOD_DAYS), _day(1)


def _day(days: int) -> str:
    """Return the UTC day a number of days from now."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
