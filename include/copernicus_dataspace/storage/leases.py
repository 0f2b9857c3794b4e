"""Knows which run has a product in its hands, so that no two fetch or deliver it at once.

A claim is a small file in the store, made only where there is none, and ends with its lease: one
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

from copernicus_dataspace.errors import ClaimedError, NoConditionalWriteError
from copernicus_dataspace.storage.layout import CLAIMS, claim_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_WORKING: Final = timedelta(minutes=5)
"""Of a claim that is renewed; clocks of hosts may differ by a little less."""
_STAGED: Final = timedelta(minutes=30)
"""Of one whose product is fetched and waits for its delivery, which another task does."""
_LONGEST: Final = _STAGED + _WORKING
"""Of any claim of ours, by whichever clock: one for longer was written by somebody else."""
_RENEW_EVERY_S: Final = 60.0
_SETTLE_S: Final = 1.0
"""Longer than between a look at a claim and the write that follows, so that others' are seen."""
_DEAD_AFTER: Final = timedelta(days=7)
"""A claim whose lease ended so long ago is of no use to anybody who looks for whose it was."""
_SOMEBODY: Final = "a run that has just released it"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Claim:
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


class Claims:
    """The products one run has in its hands; may be used by several threads."""

    def __init__(self, store: Store, run: RunLayout, clock: Callable[[], datetime] = _now) -> None:
        """Begin with none.

        Args:
            store: Where all runs that may want the same products keep their claims.
            run: Whose claims these are; another task or try of the run holds the same.
            clock: The time of day in UTC.
        """
        self._store = store
        self._run = run
        self._clock = clock
        self._held: set[str] = set()
        self._lock = threading.RLock()

    def take(self, product: Product) -> str | None:
        """Claim a product, unless another run has; return None, or words that name that run."""
        path = claim_path(product)
        found = self._read(path)
        other = self._created(path) if found is None else self._other(path, found)
        if other is None:
            with self._lock:
                self._held.add(path)
        return other

    def _created(self, path: str) -> str | None:
        """Write a claim where there was none just now; return who else has, None for nobody.

        It is written twice, as some storages write over what is there though told not to. For
        these it counts what stands there after a while: two that write within the same moment are
        kept apart, two whose writes take long are not.
        """
        claim = self._mine(_WORKING).to_bytes()
        with contextlib.suppress(NoConditionalWriteError):
            if not self._store.create(path, claim):
                return self._other(path, self._read(path))
            if not self._store.create(path, claim):
                return None
        return self._overwritten(path)

    def need(self, product: Product) -> None:
        """Claim a product.

        Raises:
            ClaimedError: Another run has.
        """
        other = self.take(product)
        if other is not None:
            message = f"{product.stem}: {other} is just fetching it; look again in a while."
            raise ClaimedError(message)

    def keep(self, product: Product) -> None:
        """Leave a held product to a later task of the run, which may take its time."""
        path = claim_path(product)
        with self._lock:
            self._extend(path, _STAGED)
            self._held.discard(path)

    def release(self, product: Product) -> None:
        """Let others have a product; nothing happens where the run does not have it."""
        self._release(claim_path(product))

    @contextlib.contextmanager
    def renewed(self) -> Iterator[Self]:
        """Renew the leases of all that is held meanwhile; release what is held still at the end."""
        stopped = threading.Event()
        threading.Thread(target=self._renew, args=(stopped,), name="claims", daemon=True).start()
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

    def _extend(self, path: str, lease: timedelta) -> None:
        with self._lock, _not_vital(path):
            if path not in self._held:
                return
            if self._is_mine(self._read(path)):
                self._store.write(path, self._mine(lease).to_bytes())
            else:
                self._held.discard(path)
                logger.warning("%s: its lease had ended, and another run has taken it.", path)

    def _release(self, path: str) -> None:
        with self._lock, _not_vital(path):
            self._held.discard(path)
            if self._is_mine(self._read(path)):
                self._store.delete(path)

    def _other(self, path: str, claim: Claim | None) -> str | None:
        """Return who else has a product of which there was a claim; None where it is ours now."""
        if claim is None:
            return _SOMEBODY
        if self._is_mine(claim):
            if claim.until < self._clock() + _WORKING:
                self._store.write(path, self._mine(_WORKING).to_bytes())
            return None
        if self._clock() < claim.until <= self._clock() + _LONGEST:
            return str(claim)
        return self._overwritten(path)

    def _overwritten(self, path: str) -> str | None:
        """Write a claim over what is there; return who else has done so since, None for nobody."""
        self._store.write(path, self._mine(_WORKING).to_bytes())
        time.sleep(_SETTLE_S)  # the last of several that find the lease ended is the one
        latest = self._read(path)
        return None if self._is_mine(latest) else str(latest or _SOMEBODY)

    def _read(self, path: str) -> Claim | None:
        """Return a claim, None where there is none; a damaged one is nobody's and has ended."""
        content = self._store.read(path)
        claim = None if content is None else Claim.read(content)
        if content is None or claim is not None:
            return claim
        time.sleep(_SETTLE_S)  # it may just be being written
        content = self._store.read(path)
        nobodys = Claim("", "", datetime.min.replace(tzinfo=UTC))
        return None if content is None else Claim.read(content) or nobodys

    def _mine(self, lease: timedelta) -> Claim:
        return Claim(self._run.dag_id, self._run.run_id, self._clock() + lease)

    def _is_mine(self, claim: Claim | None) -> bool:
        mine = (self._run.dag_id, self._run.run_id)
        return claim is not None and (claim.dag_id, claim.run_id) == mine

    def _all_held(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(self._held)


@contextlib.contextmanager
def _not_vital(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the worst that follows is a wait, or a second fetch
        logger.warning("%s could not be renewed or removed, its lease will end: %s", path, error)


def sweep_claims(store: Store, now: datetime) -> None:
    """Remove the claims whose lease ended a week ago, and those that are none and as old."""
    store.heal_dates(CLAIMS)
    for name, found in store.listing(CLAIMS).items():
        path = f"{CLAIMS}/{name}"
        content = store.read(path)
        claim = None if content is None else Claim.read(content)
        last = claim.until if claim and claim.until <= now + _LONGEST else found.written
        is_dead = last is not None and last < now - _DEAD_AFTER
        if is_dead and store.read(path) == content:  # nobody has just taken it over
            store.delete(path)
