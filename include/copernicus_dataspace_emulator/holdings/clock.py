"""The clock of the catalogue: fixed, real, or faster than real.

Scheduled actions are run before the time is returned.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from copernicus_dataspace_emulator.products.recipe import instant


@dataclass(slots=True)
class Clock:
    """The clock; ``speed`` is in emulated seconds per real second.

    A clock that was set starts when it is first read; one that was not is the real clock, whatever
    its speed.
    """

    speed: float = 0.0
    _set_to: str | None = None
    _started: float = 0.0
    _due: list[tuple[datetime, Callable[[datetime], None]]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def at(self, text: str | None, moment: datetime, action: Callable[[datetime], None]) -> None:
        """Schedule an action at a time."""
        with self._lock:
            self._due.append((moment, action))
        self.read(text)

    def read(self, text: str | None) -> datetime:
        """Return the current time of a clock set to an ISO time, or not set."""
        with self._lock:
            now = self._present(text)
            for moment, action in [one for one in self._due if one[0] <= now]:
                self._due.remove((moment, action))
                action(moment)
            return now

    def _present(self, text: str | None) -> datetime:
        if text is None:
            return datetime.now(UTC)
        if text != self._set_to:
            self._set_to, self._started = text, time.monotonic()
        ahead_s = self.speed * (time.monotonic() - self._started)
        return instant(text) + timedelta(seconds=ahead_s)
