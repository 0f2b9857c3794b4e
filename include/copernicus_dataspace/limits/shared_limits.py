"""Learned transfer limits and request spacing of an account, shared by the processes of a host."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.json_records import from_json_or, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copernicus_dataspace.limits.shared_file import SharedFile

_PAUSE_AGE_S: Final = 600.0
_END_AGE_S: Final = 10.0
"""No pause is longer, so older ends are irrelevant."""

_MOST_ENDS: Final = 20
_MOST_NUMBER: Final = 1e12
_MOST_TURNS: Final = 1000
"""Maximum number of waiting requests; a later turn comes from a wrong clock."""


@dataclass(slots=True)
class _Pace:
    """Seconds between transfers, when they were learned, and the last ends of transfers."""

    pause_s: float = -1.0
    learnt_at: float = -1.0
    ends: list[float] = field(default_factory=list)


class SharedSlots:
    """State of an account's transfer slots, shared by the processes of a host.

    Times are `time.monotonic` in the interface and wall-clock times in the file.
    """

    def __init__(self, host: SharedFile) -> None:
        self._host = host
        self._offset_s = time.time() - time.monotonic()

    def read(self) -> tuple[float | None, list[float]]:
        """Return the pause learned within ten minutes and the last ends of transfers, if any."""
        pace = _pace(self._host.exchange(lambda state: state))
        age_s = time.time() - pace.learnt_at
        if not 0 <= age_s <= _PAUSE_AGE_S or not 0 <= pace.pause_s <= _END_AGE_S:
            return None, []
        return pace.pause_s, [end - self._offset_s for end in pace.ends]

    def write(self, pause_s: float, learnt_at: float | None, ends: Iterable[float]) -> None:
        """Add ends of transfers, and the pause if it is newer than the stored one."""

        def merged(state: dict[str, Any]) -> dict[str, Any]:
            pace = _pace(state)
            pace.ends = sorted([*pace.ends, *(end + self._offset_s for end in ends)])[-_MOST_ENDS:]
            if learnt_at is not None and learnt_at + self._offset_s > pace.learnt_at:
                pace.pause_s, pace.learnt_at = pause_s, learnt_at + self._offset_s
            return {**state, "pace": to_json(pace)}

        self._host.exchange(merged)


class SharedTurns:
    """Spaces the requests of all processes of a host."""

    def __init__(self, host: SharedFile, spacing_s: float) -> None:
        """Set the minimum seconds between the starts of two requests."""
        self._host = host
        self._spacing_s = spacing_s

    def take(self) -> float:
        """Take the next turn; return the seconds until it begins."""

        def taken(state: dict[str, Any]) -> dict[str, Any]:
            now = time.time()
            turn = max(now, _number(state.get("next_turn")))
            if turn > now + _MOST_TURNS * self._spacing_s:
                turn = now
            return {**state, "next_turn": turn + self._spacing_s}

        following = float(self._host.exchange(taken)["next_turn"])
        return max(0.0, following - self._spacing_s - time.time())


def _pace(state: dict[str, Any]) -> _Pace:
    """Return the valid and recent part of the state of the transfer slots."""
    found = from_json_or(state.get("pace"), _Pace, _Pace())
    now = time.time()
    return _Pace(
        found.pause_s,
        min(found.learnt_at, now) if found.learnt_at <= now + _END_AGE_S else -1.0,
        [end for end in found.ends if now - _END_AGE_S <= end <= now],
    )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and abs(value) < _MOST_NUMBER else -1.0
