"""Lets threads begin transfers when the service has slots for them.

What decides is `pace_core`; here threads wait for it, and tasks of one host share what was learnt.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from copernicus_dataspace.limits.shared_file import SharedFile

T = TypeVar("T")

TRIES: Final = 10
"""Of a request that meets 429, with waits that learn how long a slot is kept."""
FEW_TRIES: Final = 5
"""For what can be had elsewhere; they take about 15 seconds."""
_SHARE_EVERY_S: Final = 1.0
_TIMING: Final = Timing()


class Slot:
    """One connection in the hands of one thread."""

    def __init__(self, slots: TransferSlots, tries: int) -> None:
        self._slots = slots
        self.tries = tries
        self.grant: SlotGrant | None = None

    def begin(self, request: Callable[[], T]) -> T:
        """Return what the request returns, sent when it may be and again where it met a 429.

        Raises:
            RateLimitedError: After all tries, or with a Retry-After longer than a minute.
            BaseException: Anything else the request raises, at once.
        """
        return self._slots.begin(self, request)


class TransferSlots:
    """Lets the threads of one task begin transfers when the service has slots for them.

    ``with slots.slot() as slot: answer = slot.begin(request)``, and read the answer's body inside:
    leaving notes the transfer's end. Whatever is raised inside, other threads go on.
    """

    def __init__(
        self,
        connections: int,
        *,
        host: SharedFile | None = None,
        on_wait: Callable[[float], None] = lambda _: None,
        on_retry: Callable[[], None] = lambda: None,
        timing: Timing = _TIMING,
    ) -> None:
        """Begin with what other tasks of the host have learnt.

        Args:
            connections: Most transfers under way at a time.
            host: Shares the pause and the ends of transfers; None to learn alone.
            on_wait: Called with the seconds a thread has waited for the service, by that thread.
            on_retry: Called where a request that met 429 will be sent again.
            timing: Lengths of waits.
        """
        self._shared = SharedSlots(host) if host else None
        pause_s, ends = self._shared.read() if self._shared else (None, [])
        self._core = Backoff(connections, pause_s, ends, timing)
        self._on_wait = on_wait
        self._on_retry = on_retry
        self._timing = timing
        self._changed = threading.Condition()
        self._stopped = False
        self._waiting: set[tuple[float, int]] = set()
        self._arrivals = itertools.count()
        self._ended: list[float] = []
        self._shared_at = -math.inf
        self._shared_learnt_at: float | None = None

    @property
    def pause_s(self) -> float:
        """Time between the end of a transfer and the next use of its slot, as far as known."""
        return self._core.pause_s

    @contextlib.contextmanager
    def slot(self, size_bytes: int | None = None, tries: int = TRIES) -> Iterator[Slot]:
        """Wait until one of the connections is free, and hold it.

        The largest transfer that waits is served first, so that none of them is left alone in the
        end; what is as large, first come, first served.

        Args:
            size_bytes: Of the transfer; None: as large as can be.
            tries: Of each request that meets 429.
        """
        slot = Slot(self, tries)
        place = (-math.inf if size_bytes is None else -size_bytes, next(self._arrivals))

        def take() -> float:
            if place == min(self._waiting):
                slot.grant = self._core.take()
            return 0.0 if slot.grant else math.inf

        try:
            with self._changed:
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

    def begin(self, slot: Slot, request: Callable[[], T]) -> T:
        """Do what `Slot.begin` says."""
        grant = slot.grant
        if grant is None:
            raise RuntimeError("a transfer begins inside ``with slots.slot()`` only")
        tries = 0
        try:
            while True:
                self._wait_for_leave(grant)
                tries += 1
                try:
                    answer = request()
                except LoginLimitedError:
                    raise
                except RateLimitedError as error:
                    asked_s = error.retry_after_s
                    self._tell(lambda now: self._core.refused(grant, now, asked_s))  # noqa: B023
                    if tries == slot.tries or (asked_s or 0.0) > self._timing.longest_wait_s:
                        raise
                    self._on_retry()
                else:
                    self._tell(lambda now: self._core.accepted(grant, now))
                    return answer
        except BaseException:
            self._tell(lambda now: self._core.drop(grant, now))
            raise

    def close(self) -> None:
        """Leave what was learnt to other tasks of the host."""
        self._share(at_once=True)

    def stop(self) -> None:
        """Let every thread that waits here, now or later, end with `StoppedError`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait_for_leave(self, grant: SlotGrant) -> None:
        began = time.monotonic()
        with self._changed:
            has_waited = self._wait(lambda: self._core.wait_s(grant, time.monotonic()))
        if has_waited:
            self._on_wait(time.monotonic() - began)

    def _wait(self, left_s: Callable[[], float]) -> bool:
        """Wait until nothing is left to wait, with the lock held; tell whether there was."""
        has_waited = False
        while not self._stopped and (wait_s := left_s()) > 0:
            has_waited = True
            self._changed.wait(None if wait_s == math.inf else wait_s)
        if self._stopped:
            raise StoppedError
        return has_waited

    def _tell(self, verdict: Callable[[float], None]) -> None:
        with self._changed:
            verdict(time.monotonic())
            self._changed.notify_all()
        self._share()

    def _end(self, grant: SlotGrant) -> None:
        def noted(now: float) -> None:
            if grant.in_use:
                self._ended.append(now)
            self._core.give_back(grant, now)

        self._tell(noted)

    def _share(self, *, at_once: bool = False) -> None:
        """Write at once what was learnt, and ends of transfers about once in a second."""
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
