"""Knows which run has a product in its hands, so that no two fetch or deliver it at once.

A lease is a small file in the store, made only where there is none, and ends with its lease: one
left by a run that was killed keeps nobody away for long.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from copernicus_dataspace.errors import InProgressError, NoConditionalWriteError
from copernicus_dataspace.storage.layout import LEASES, lease_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_WORKING: Final = timedelta(minutes=5)
"""Of a lease that is renewed; clocks of hosts may differ by a little less."""
_STAGED: Final = timedelta(minutes=30)
"""Of one whose product is fetched and waits for its delivery, which another task does."""
_LONGEST: Final = _STAGED + _WORKING
"""Of any lease of ours, by whichever clock: one for longer was written by somebody else."""
_RENEW_EVERY_S: Final = 60.0
_SETTLE_S: Final = 1.0
"""Longer than between a look at a lease and the write that follows, so that others' are seen."""
_DEAD_AFTER: Final = timedelta(days=7)
"""A lease whose lease ended so long ago is of no use to anybody who looks for whose it was."""
_SOMEBODY: Final = "a run that has just released it"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Lease:
    """Which run has a product, and until when at least."""

    dag_id: str
    run_id: str
    until: datetime

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Return what `to_bytes` wrote; None where it is damaged, or not yet written."""
        try:
            record = json.loads(content)
            until = datetime.fromisoformat(record["until"]).astimezone(UTC)
            return cls(str(record["dag_id"]), str(record["run_id"]), until)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def to_bytes(self) -> bytes:
        """Return all facts as JSON."""
        return json.dumps({**asdict(self), "until": self.until.isoformat()}).encode()

    def __str__(self) -> str:
        return f"{self.dag_id} {self.run_id}"


class Leases:
    """The products one run has in its hands; may be used by several threads."""

    def __init__(self, store: Store, run: RunLayout, clock: Callable[[], datetime] = _now) -> None:
        """Begin with none.

        Args:
            store: Where all runs that may want the same products keep their leases.
            run: Whose leases these are; another task or try of the run holds the same.
            clock: The time of day in UTC.
        """
        self._store = store
        self._run = run
        self._clock = clock
        self._held: set[str] = set()
        self._lock = threading.RLock()

    def take(self, product: Product) -> str | None:
        """Claim a product, unless another run has; return None, or words that name that run."""
        path = lease_path(product)
        found = self._read(path)
        other = self._created(path) if found is None else self._other(path, found)
        if other is None:
            with self._lock:
                self._held.add(path)
        return other

    def _created(self, path: str) -> str | None:
        """Write a lease where there was none just now; return who else has, None for nobody.

        It is written twice, as some storages write over what is there though told not to. For
        these it counts what stands there after a while: two that write within the same moment are
        kept apart, two whose writes take long are not.
        """
        lease = self._mine(_WORKING).to_bytes()
        with contextlib.suppress(NoConditionalWriteError):
            if not self._store.create(path, lease):
                return self._other(path, self._read(path))
            if not self._store.create(path, lease):
                return None
        return self._overwritten(path)

    def need(self, product: Product) -> None:
        """Claim a product.

        Raises:
            InProgressError: Another run has.
        """
        other = self.take(product)
        if other is not None:
            message = f"{product.stem}: {other} is just fetching it; look again in a while."
            raise InProgressError(message)

    def keep(self, product: Product) -> None:
        """Leave a held product to a later task of the run, which may take its time."""
        path = lease_path(product)
        with self._lock:
            self._extend(path, _STAGED)
            self._held.discard(path)

    def release(self, product: Product) -> None:
        """Let others have a product; nothing happens where the run does not have it."""
        self._release(lease_path(product))

    @contextlib.contextmanager
    def renewed(self) -> Iterator[Self]:
        """Renew the leases of all that is held meanwhile; release what is held still at the end."""
        stopped = threading.Event()
        threading.Thread(target=self._renew, args=(stopped,), name="leases", daemon=True).start()
        try:
            yield self
        finally:
            stopped.set()
            for path in self._all_held():
                self._release(path)

    def _renew(self, stopped: threading.Event) -> None:
        while not stopped.wait(_RENEW_EVERY_S):
            for path in self._all_held():
                self._extend(path, _WORKING)

    def _extend(self, path: str, duration: timedelta) -> None:
        with self._lock, _not_vital(path):
            if path not in self._held:
                return
            if self._is_mine(self._read(path)):
                self._store.write(path, self._mine(duration).to_bytes())
            else:
                self._held.discard(path)
                logger.warning("%s: its lease had ended, and another run has taken it.", path)

    def _release(self, path: str) -> None:
        with self._lock, _not_vital(path):
            self._held.discard(path)
            if self._is_mine(self._read(path)):
                self._store.delete(path)

    def _other(self, path: str, lease: Lease | None) -> str | None:
        """Return who else has a product of which there was a lease; None where it is ours now."""
        if lease is None:
            return _SOMEBODY
        if self._is_mine(lease):
            if lease.until < self._clock() + _WORKING:
                self._store.write(path, self._mine(_WORKING).to_bytes())
            return None
        if self._clock() < lease.until <= self._clock() + _LONGEST:
            return str(lease)
        return self._overwritten(path)

    def _overwritten(self, path: str) -> str | None:
        """Write a lease over what is there; return who else has done so since, None for nobody."""
        self._store.write(path, self._mine(_WORKING).to_bytes())
        time.sleep(_SETTLE_S)  # the last of several that find the lease ended is the one
        latest = self._read(path)
        return None if self._is_mine(latest) else str(latest or _SOMEBODY)

    def _read(self, path: str) -> Lease | None:
        """Return a lease, None where there is none; a damaged one is nobody's and has ended."""
        content = self._store.read(path)
        lease = None if content is None else Lease.read(content)
        if content is None or lease is not None:
            return lease
        time.sleep(_SETTLE_S)  # it may just be being written
        content = self._store.read(path)
        nobodys = Lease("", "", datetime.min.replace(tzinfo=UTC))
        return None if content is None else Lease.read(content) or nobodys

    def _mine(self, duration: timedelta) -> Lease:
        return Lease(self._run.dag_id, self._run.run_id, self._clock() + duration)

    def _is_mine(self, lease: Lease | None) -> bool:
        mine = (self._run.dag_id, self._run.run_id)
        return lease is not None and (lease.dag_id, lease.run_id) == mine

    def _all_held(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._held)


@contextlib.contextmanager
def _not_vital(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the worst that follows is a wait, or a second fetch
        logger.warning("%s could not be renewed or removed, its lease will end: %s", path, error)


def sweep_leases(store: Store, now: datetime) -> None:
    """Remove the leases whose lease ended a week ago, and those that are none and as old."""
    store.heal_dates(LEASES)
    for name, found in store.listing(LEASES).items():
        path = f"{LEASES}/{name}"
        content = store.read(path)
        lease = None if content is None else Lease.read(content)
        last = lease.until if lease and lease.until <= now + _LONGEST else found.written
        is_dead = last is not None and last < now - _DEAD_AFTER
        if is_dead and store.read(path) == content:  # nobody has just taken it over
            store.delete(path)
