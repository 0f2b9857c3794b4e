"""Progress of transfers: log lines, the task's state in the UI, or a terminal progress bar."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowRuntimeError

from copernicus_dataspace.ingest.download import progress_bar
from copernicus_dataspace.models.byte_sizes import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from copernicus_dataspace.ingest.staging import Progress

logger = logging.getLogger(__name__)

_LOG_SHARE: Final = 0.1
_LOG_AT_MOST_EVERY_S: Final = 1.0
_LOG_EVERY_S: Final = 30.0
_STORE_EVERY_S: Final = 5.0
"""Each update is a request of about 20 ms to Airflow's API."""


@contextlib.contextmanager
def progress_of(context: Mapping[str, Any]) -> Iterator[Progress]:
    """Yield a factory of thread-safe progress callbacks, one for each transfer of a task.

    In a terminal they update a progress bar. Else each logs every 10 % or 30 s of a transfer that
    takes a second or more, and updates the ``progress`` entry of the task's Storage tab with the
    total of all transfers; both with MB, MB/s and remaining time.
    """
    if sys.stderr.isatty():
        with progress_bar() as bar:
            yield bar
        return
    task_progress = _TaskProgress(context.get("task_state_store"))

    def begin(name: str, total_bytes: int | None) -> Callable[[int], None]:
        task_progress.add_transfer(total_bytes)
        return _TransferLog(name, total_bytes, task_progress).update

    yield begin


class _ByteCounter:
    """Counts the bytes of one or more transfers."""

    def __init__(self, total_bytes: int | None) -> None:
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self.lock = threading.Lock()
        self.began = time.monotonic()

    def line(self, now: float) -> str:
        rate = self.done_bytes / max(now - self.began, 1e-3)
        done = f"{megabytes(self.done_bytes)} at {rate / 1e6:.1f} MB/s"
        if not self.total_bytes:
            return done
        share = min(1.0, self.done_bytes / self.total_bytes)
        left_s = max(0, self.total_bytes - self.done_bytes) / max(rate, 1.0)
        return f"{share:.0%} of {megabytes(self.total_bytes)}, {done}, {left_s:.0f} s left"


class _TaskProgress(_ByteCounter):
    """All transfers of a task together, as the task's Storage tab shows them."""

    def __init__(self, store: Any) -> None:
        super().__init__(0)
        self._store = store
        self._updated = self.began

    def add_transfer(self, total_bytes: int | None) -> None:
        """Add a new transfer to the total."""
        with self.lock:
            if self.total_bytes is not None:
                self.total_bytes = total_bytes and self.total_bytes + total_bytes

    def update(self, name: str, size_bytes: int, now: float) -> None:
        """Add written bytes."""
        with self.lock:
            self.done_bytes += size_bytes
            if self._store is None or now - self._updated < _STORE_EVERY_S:
                return
            self._updated = now
        try:
            self._store.set("progress", {"product": name, "moved": self.line(now)})
        except AirflowRuntimeError as error:
            logger.debug("The progress could not be stored: %s", error)


class _TransferLog(_ByteCounter):
    """Progress of one transfer in the log."""

    def __init__(self, name: str, total_bytes: int | None, task_progress: _TaskProgress) -> None:
        super().__init__(total_bytes)
        self._name = name
        self._task_progress = task_progress
        self._logged = self.began
        self._logged_bytes = 0

    def update(self, size_bytes: int) -> None:
        """Add written bytes."""
        now = time.monotonic()
        self._task_progress.update(self._name, size_bytes, now)
        with self.lock:
            self.done_bytes += size_bytes
            if not self._is_log_due(now):
                return
            self._logged, self._logged_bytes = now, self.done_bytes
        logger.info("%s: %s", self._name, self.line(now))

    def _is_log_due(self, now: float) -> bool:
        since_s = now - self._logged
        if since_s >= _LOG_EVERY_S:
            return True
        unlogged_bytes = self.done_bytes - self._logged_bytes
        is_tenth = bool(self.total_bytes) and unlogged_bytes >= _LOG_SHARE * (self.total_bytes or 0)
        return is_tenth and since_s >= _LOG_AT_MOST_EVERY_S
