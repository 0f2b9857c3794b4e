"""Leases of products, so that no two runs download or deliver the same product at once.

A lease is a small file in the store, created only if it does not exist. It expires, so that a
killed run does not block a product for long.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct

from copernicus_dataspace.errors import InProgressError, NoConditionalWriteError
from copernicus_dataspace.json_records import Instant, read_json_or, write_json
from copernicus_dataspace.storage.layout import LEASES, lease_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

WORKING: Final = timedelta(minutes=5)
"""Duration of a lease that is renewed; clocks of hosts may differ by a little less."""
_STAGED: Final = timedelta(minutes=30)
"""Duration of a lease of a downloaded product that waits for its delivery."""
_LONGEST: Final = _STAGED + WORKING
"""Maximum duration of a lease, whatever the clock; longer ones were not written by us."""
RENEW_EVERY_S: Final = 60.0
SETTLE_S: Final = 1.0
"""Longer than the time between reading and writing a lease, so that concurrent writes are seen."""
_DEAD_AFTER: Final = timedelta(days=7)
"""Leases that expired that long ago are removed."""
_SOMEBODY: Final = "unknown (its lease was released just now)"


def _now() -> datetime:
    return datetime.now(UTC)


class Lease(Struct, frozen=True, rename={"owner": "dag_id"}):
    """Which run has leased a product, and until when."""

    owner: str
    run_id: str
    until: Instant

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Return what `to_bytes` wrote; None if it is damaged or not completely written."""
        return read_json_or(content, cls, None)

    def to_bytes(self) -> bytes:
        """Return the lease as JSON."""
        return write_json(self)

    def __str__(self) -> str:
        return f"{self.owner} {self.run_id}"


class Leases:
    """The leases of one run; thread-safe."""

    def __init__(self, store: Store, run: RunLayout, clock: Callable[[], datetime] = _now) -> None:
        """Start without leases.

        Args:
            store: The store shared by all runs that may want the same products.
            run: Owner of the leases; other attempts of the same run share them.
            clock: The current time in UTC.
        """
        self._store = store
        self._run = run
        self._clock = clock
        self._held: set[str] = set()
        self._lock = threading.RLock()

    def take(self, product: Product) -> str | None:
        """Lease a product; return None, or the run that has leased it as text."""
        path = lease_path(product)
        found = self._read(path)
        other = self._created(path) if found is None else self._other(path, found)
        if other is None:
            with self._lock:
                self._held.add(path)
        return other

    def _created(self, path: str) -> str | None:
        """Create a lease; return the other run if there is one, else None.

        It is written twice to detect storages that overwrite in spite of the condition. For those,
        the lease that is there after a while counts: this separates two runs that write at the
        same moment, but not two whose writes take long.
        """
        lease = self._mine(WORKING).to_bytes()
        with contextlib.suppress(NoConditionalWriteError):
            if not self._store.create(path, lease):
                return self._other(path, self._read(path))
            if not self._store.create(path, lease):
                return None
        return self._overwritten(path)

    def need(self, product: Product) -> None:
        """Lease a product.

        Raises:
            InProgressError: Another run has leased it.
        """
        other = self.take(product)
        if other is not None:
            message = f"{product.stem} is being downloaded by run {other}; retry in a few minutes."
            raise InProgressError(message)

    def keep(self, product: Product) -> None:
        """Keep the lease for a later step of the run, with a longer duration."""
        path = lease_path(product)
        with self._lock:
            self._extend(path, _STAGED)
            self._held.discard(path)

    def release(self, product: Product) -> None:
        """Release a product; does nothing if the run has not leased it."""
        self._release(lease_path(product))

    @contextlib.contextmanager
    def renewed(self) -> Iterator[Self]:
        """Renew all leases inside the block; release those still held at its end."""
        stopped = threading.Event()
        threading.Thread(target=self._renew, args=(stopped,), name="leases", daemon=True).start()
        try:
            yield self
        finally:
            stopped.set()
            for path in self._all_held():
                self._release(path)

    def _renew(self, stopped: threading.Event) -> None:
        while not stopped.wait(RENEW_EVERY_S):
            for path in self._all_held():
                self._extend(path, WORKING)

    def _extend(self, path: str, duration: timedelta) -> None:
        with self._lock, _not_vital(path):
            if path not in self._held:
                return
            if self._is_mine(self._read(path)):
                self._store.write(path, self._mine(duration).to_bytes())
            else:
                self._held.discard(path)
                logger.warning("%s: the lease had expired, and another run has taken it.", path)

    def _release(self, path: str) -> None:
        with self._lock, _not_vital(path):
            self._held.discard(path)
            if self._is_mine(self._read(path)):
                self._store.delete(path)

    def _other(self, path: str, lease: Lease | None) -> str | None:
        """Return which other run has leased a product; None if it is ours now."""
        if lease is None:
            return _SOMEBODY
        if self._is_mine(lease):
            if lease.until < self._clock() + WORKING:
                self._store.write(path, self._mine(WORKING).to_bytes())
            return None
        if self._clock() < lease.until <= self._clock() + _LONGEST:
            return str(lease)
        return self._overwritten(path)

    def _overwritten(self, path: str) -> str | None:
        """Overwrite a lease; return the run that has done so since, None if it is ours."""
        self._store.write(path, self._mine(WORKING).to_bytes())
        time.sleep(SETTLE_S)  # of several runs that find it expired, the last one wins
        latest = self._read(path)
        return None if self._is_mine(latest) else str(latest or _SOMEBODY)

    def _read(self, path: str) -> Lease | None:
        """Return a lease, None if there is none; a damaged one counts as expired."""
        content = self._store.read(path)
        lease = None if content is None else Lease.read(content)
        if content is None or lease is not None:
            return lease
        time.sleep(SETTLE_S)  # it may be being written right now
        content = self._store.read(path)
        nobodys = Lease("", "", datetime.min.replace(tzinfo=UTC))
        return None if content is None else Lease.read(content) or nobodys

    def _mine(self, duration: timedelta) -> Lease:
        return Lease(self._run.owner, self._run.run_id, self._clock() + duration)

    def _is_mine(self, lease: Lease | None) -> bool:
        mine = (self._run.owner, self._run.run_id)
        return lease is not None and (lease.owner, lease.run_id) == mine

    def _all_held(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._held)


@contextlib.contextmanager
def _not_vital(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the worst consequence is a wait or a second download
        logger.warning("%s could not be renewed or removed and will expire: %s", path, error)


def sweep_leases(store: Store, now: datetime) -> None:
    """Remove leases that expired a week ago, and damaged ones of that age."""
    store.heal_dates(LEASES)
    for name, found in store.listing(LEASES).items():
        path = f"{LEASES}/{name}"
        content = store.read(path)
        lease = None if content is None else Lease.read(content)
        last = lease.until if lease and lease.until <= now + _LONGEST else found.written
        is_dead = last is not None and last < now - _DEAD_AFTER
        if is_dead and store.read(path) == content:  # not taken over meanwhile
            store.delete(path)
