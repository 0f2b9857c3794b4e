"""Shows how far a transfer is: log lines, the task's state in the UI, or a bar in a terminal."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowRuntimeError

from copernicus_dataspace.models.byte_sizes import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

_LOG_SHARE: Final = 0.1
_LOG_AT_MOST_EVERY_S: Final = 1.0
_LOG_EVERY_S: Final = 30.0
_SHOW_EVERY_S: Final = 5.0
"""Showing costs a request to Airflow's API of some 20 ms."""


def progress_of(context: Mapping[str, Any]) -> Callable[[str, int | None], Callable[[int], None]]:
    """Return what makes a listener for each transfer of a task; listeners may be told by threads.

    With a terminal attached it is a tqdm bar, else a line in the log every 10 % or 30 s, for the
    transfers that take a second or more, and the ``progress`` entry of the task's Storage tab for
    all of them together, both with MB, MB/s and time left.
    """
    if sys.stderr.isatty():
        return _bar
    shown = _Shown(context.get("task_state_store"))

    def begin(name: str, total_bytes: int | None) -> Callable[[int], None]:
        shown.expect(total_bytes)
        return _Log(name, total_bytes, shown).told

    return begin


def _bar(name: str, total_bytes: int | None) -> Callable[[int], None]:
    from tqdm import tqdm  # noqa: PLC0415 - for terminals only

    bar = tqdm(desc=name, total=total_bytes, unit="B", unit_scale=True)

    def told(size_bytes: int) -> None:
        bar.update(size_bytes)
        if total_bytes is not None and bar.n >= total_bytes:
            bar.close()

    return told


class _Moved:
    """Counts the bytes of one transfer, or of several."""

    def __init__(self, total_bytes: int | None) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self.lock = threading.Lock()
        self.began = time.monotonic()

    def line(self, now: float) -> str:
        rate = self.done_bytes / max(now - self.began, 1e-3)
        moved = f"{megabytes(self.done_bytes)} at {rate / 1e6:.1f} MB/s"
        if not self.total_bytes:
            return moved
        share = min(1.0, self.done_bytes / self.total_bytes)
        left_s = max(0, self.total_bytes - self.done_bytes) / max(rate, 1.0)
        return f"{share:.0%} of {megabytes(self.total_bytes)}, {moved}, {left_s:.0f} s left"


class _Shown(_Moved):
    """All transfers of a task together, as the task's Storage tab shows them."""

    def __init__(self, store: Any) -> None:
        super().__init__(0)
        self._store = store
        self._shown = self.began

    def expect(self, total_bytes: int | None) -> None:
        """Note that another transfer has begun."""
        with self.lock:
            if self.total_bytes is not None:
                self.total_bytes = total_bytes and self.total_bytes + total_bytes

    def told(self, name: str, size_bytes: int, now: float) -> None:
        """Note that so many more bytes were written."""
        with self.lock:
            self.done_bytes += size_bytes
            if self._store is None or now - self._shown < _SHOW_EVERY_S:
                return
            self._shown = now
        try:
            self._store.set("progress", {"product": name, "moved": self.line(now)})
        except AirflowRuntimeError as error:
            logger.debug("The progress could not be shown: %s", error)


class _Log(_Moved):
    """One transfer, as the log shows it."""

    def __init__(self, name: str, total_bytes: int | None, shown: _Shown) -> None:
        super().__init__(total_bytes)
        self._name = name
        self._shown = shown
        self._logged = self.began
        self._logged_bytes = 0

    def told(self, size_bytes: int) -> None:
        """Note that so many more bytes were written."""
        now = time.monotonic()
        self._shown.told(self._name, size_bytes, now)
        with self.lock:
            self.done_bytes += size_bytes
            if not self._is_due(now):
                return
            self._logged, self._logged_bytes = now, self.done_bytes
        logger.info("%s: %s", self._name, self.line(now))

    def _is_due(self, now: float) -> bool:
        since_s = now - self._logged
        if since_s >= _LOG_EVERY_S:
            return True
        unlogged_bytes = self.done_bytes - self._logged_bytes
        is_tenth = bool(self.total_bytes) and unlogged_bytes >= _LOG_SHARE * (self.total_bytes or 0)
        return is_tenth and since_s >= _LOG_AT_MOST_EVERY_S
