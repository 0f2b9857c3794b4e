"""Shows how far a transfer is: log lines, the task's state in the UI, or a bar in a terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowRuntimeError

from dataspace.summary import megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

_LOG_SHARE: Final = 0.1
_LOG_EVERY_S: Final = 30.0
_SHOW_EVERY_S: Final = 5.0
"""Showing costs a request to Airflow's API of some 20 ms."""


def progress_of(context: Mapping[str, Any]) -> Callable[[str, int | None], Callable[[int], None]]:
    """Return what makes a listener for each transfer of a task.

    With a terminal attached it is a tqdm bar, else a line in the log every 10 % or 30 s and the
    ``progress`` entry of the task's Storage tab, both with MB, MB/s and time left.
    """
    if sys.stderr.isatty():
        return _bar
    store = context.get("task_state_store")

    def begin(name: str, total_bytes: int | None) -> Callable[[int], None]:
        return _Log(name, total_bytes, store).told

    return begin


def _bar(name: str, total_bytes: int | None) -> Callable[[int], None]:
    from tqdm import tqdm  # noqa: PLC0415 - for terminals only

    bar = tqdm(desc=name, total=total_bytes, unit="B", unit_scale=True)

    def told(size_bytes: int) -> None:
        bar.update(size_bytes)
        if total_bytes is not None and bar.n >= total_bytes:
            bar.close()

    return told


class _Log:
    """Follows one transfer."""

    def __init__(self, name: str, total_bytes: int | None, store: Any) -> None:
        self._name = name
        self._total_bytes = total_bytes
        self._store = store
        self._done_bytes = 0
        self._began = self._logged = self._shown = time.monotonic()
        self._logged_bytes = 0

    def told(self, size_bytes: int) -> None:
        """Note that so many more bytes were written."""
        self._done_bytes += size_bytes
        now = time.monotonic()
        if self._is_due(now):
            logger.info("%s: %s", self._name, self._line(now))
            self._logged, self._logged_bytes = now, self._done_bytes
        if self._store is not None and now - self._shown >= _SHOW_EVERY_S:
            self._show(now)
            self._shown = now

    def _show(self, now: float) -> None:
        try:
            self._store.set("progress", {"product": self._name, "moved": self._line(now)})
        except AirflowRuntimeError as error:
            logger.debug("The progress could not be shown: %s", error)

    def _is_due(self, now: float) -> bool:
        if now - self._logged >= _LOG_EVERY_S:
            return True
        unlogged_bytes = self._done_bytes - self._logged_bytes
        return bool(self._total_bytes) and unlogged_bytes >= _LOG_SHARE * (self._total_bytes or 0)

    def _line(self, now: float) -> str:
        rate = self._done_bytes / max(now - self._began, 1e-3)
        moved = f"{megabytes(self._done_bytes)} at {rate / 1e6:.1f} MB/s"
        if not self._total_bytes:
            return moved
        share = min(1.0, self._done_bytes / self._total_bytes)
        left_s = max(0, self._total_bytes - self._done_bytes) / max(rate, 1.0)
        return f"{share:.0%} of {megabytes(self._total_bytes)}, {moved}, {left_s:.0f} s left"
