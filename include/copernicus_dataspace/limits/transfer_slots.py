"""Limits concurrent transfers: threads wait until a slot of the account is free.

`backoff` has the algorithm; this module has the waiting, and shares what was learned.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from copernicus_dataspace.errors import LoginLimitedError, RateLimitedError, StoppedError
from copernicus_dataspace.limits.backoff import Backoff, SlotGrant, Timing
from copernicus_dataspace.limits.shared_limits import SharedSlots
from copernicus_dataspace.transfer_statistics import TransferStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from copernicus_dataspace.limits.retry import Attempts
    from copernicus_dataspace.limits.shared_file import SharedFile

T = TypeVar("T")

_SHARE_EVERY_S: Final = 1.0
_TIMING: Final = Timing()


class Slot:
    """A transfer slot held by one thread."""

    def __init__(self, slots: TransferSlots) -> None:
        self._slots = slots
        self.grant: SlotGrant | None = None

    def begin(self, request: Callable[[], T], attempts: Attempts) -> T:
        """Send a request when a slot is free, again after a 429; return what it returns.

        Args:
            request: Sends the request.
            attempts: Decides whether it is repeated; the wait is that for a slot.

        Raises:
            RateLimitedError: After all attempts.
            BaseException: Anything else the request raises.
        """
        return self._slots.begin(self, request, attempts)


class TransferSlots:
    """The transfer slots of an account, for the threads of one process.

    ``with slots.slot() as slot: response = slot.begin(request)``, and read the body inside: leaving
    the block ends the transfer.
    """

    def __init__(
        self,
        connections: int,
        *,
        host: SharedFile | None = None,
        statistics: TransferStatistics | None = None,
        timing: Timing = _TIMING,
    ) -> None:
        """Create the slots; what other processes of the host learned is read at the first use.

        Args:
            connections: Maximum number of concurrent transfers.
            host: Shares the pause and the ends of transfers; None to share nothing.
            statistics: Counts the seconds that threads wait for the service.
            timing: Durations of the algorithm.
        """
        self._connections = connections
        self._timing = timing
        self._core = Backoff(connections, None, [], timing)
        self._shared = SharedSlots(host) if host else None
        self._has_read = False
        self._statistics = statistics or TransferStatistics()
        self._changed = threading.Condition()
        self._stopped = False
        self._waiting: set[tuple[float, int]] = set()
        self._arrivals = itertools.count()
        self._ended: list[float] = []
        self._shared_at = -math.inf
        self._shared_learnt_at: float | None = None

    @property
    def pause_s(self) -> float:
        """Learned pause between the end of a transfer and the next use of its slot."""
        return self._core.pause_s

    @contextlib.contextmanager
    def slot(self, size_bytes: int | None = None) -> Iterator[Slot]:
        """Wait for a free slot, and hold it.

        The largest waiting transfer is served first, so that none of them runs alone at the end;
        equal sizes in the order of arrival.

        Args:
            size_bytes: Size of the transfer; None counts as the largest.
        """
        slot = Slot(self)
        place = (-math.inf if size_bytes is None else -size_bytes, next(self._arrivals))

        def take() -> float:
            if place == min(self._waiting):
                slot.grant = self._core.take()
            return 0.0 if slot.grant else math.inf

        try:
            with self._changed:
                self._read_shared()
                self._waiting.add(place)
                try:
                    self._wait(take)
                finally:
                    self._waiting.discard(place)
                    self._changed.notify_all()
            yield slot
        finally:
            if slot.grant:
                self._end(slot.grant)

    def begin(self, slot: Slot, request: Callable[[], T], attempts: Attempts) -> T:
        """Implement `Slot.begin`."""
        grant = slot.grant
        if grant is None:
            raise RuntimeError("a transfer can only be started inside ``with slots.slot()``")
        try:
            while True:
                self._wait_for_leave(grant)
                try:
                    answer = request()
                except LoginLimitedError:
                    raise
                except RateLimitedError as error:
                    asked_s = error.retry_after_s
                    self._update(lambda now: self._core.refused(grant, now, asked_s))  # noqa: B023
                    attempts.again(error)
                else:
                    self._update(lambda now: self._core.accepted(grant, now))
                    return answer
        except BaseException:
            self._update(lambda now: self._core.drop(grant, now))
            raise

    def close(self) -> None:
        """Share what was learned with other processes of the host."""
        self._share(at_once=True)

    def stop(self) -> None:
        """Make all waiting threads, now and later, raise `StoppedError`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _read_shared(self) -> None:
        if self._shared and not self._has_read:
            self._has_read = True
            self._core = Backoff(self._connections, *self._shared.read(), self._timing)

    def _wait_for_leave(self, grant: SlotGrant) -> None:
        began = time.monotonic()
        with self._changed:
            has_waited = self._wait(lambda: self._core.wait_s(grant, time.monotonic()))
        if has_waited:
            self._statistics.waited(time.monotonic() - began)

    def _wait(self, left_s: Callable[[], float]) -> bool:
        """Wait while `left_s` is positive, with the lock held; tell whether there was a wait."""
        has_waited = False
        while not self._stopped and (wait_s := left_s()) > 0:
            has_waited = True
            self._changed.wait(None if wait_s == math.inf else wait_s)
        if self._stopped:
            raise StoppedError
        return has_waited

    def _update(self, change: Callable[[float], None]) -> None:
        with self._changed:
            change(time.monotonic())
            self._changed.notify_all()
        self._share()

    def _end(self, grant: SlotGrant) -> None:
        def noted(now: float) -> None:
            if grant.in_use:
                self._ended.append(now)
            self._core.give_back(grant, now)

        self._update(noted)

    def _share(self, *, at_once: bool = False) -> None:
        """Write a newly learned pause at once, and ends of transfers about once per second."""
        if self._shared is None:
            return
        with self._changed:
            now, learnt_at = time.monotonic(), self._core.learnt_at
            is_time = at_once or now >= self._shared_at + _SHARE_EVERY_S
            if learnt_at == self._shared_learnt_at and not (self._ended and is_time):
                return
            self._shared_at, self._shared_learnt_at = now, learnt_at
            ends, self._ended = self._ended, []
            pause_s = self._core.pause_s
        self._shared.write(pause_s, learnt_at, ends)
