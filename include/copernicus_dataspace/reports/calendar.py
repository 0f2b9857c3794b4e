"""Calendar of the days of a report: weeks are columns, weekdays are rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DAYS: Final = 365


class DayState(StrEnum):
    """State of a day, and its class in the page's styles."""

    COMPLETE = "complete"
    INCOMPLETE = "partly"
    ALL_MISSING = "none"
    NOTHING_EXPECTED = "idle"
    UNKNOWN = "unknown"


LEGEND: Final = {
    DayState.COMPLETE: "complete",
    DayState.INCOMPLETE: "incomplete",
    DayState.ALL_MISSING: "all expected products missing",
    DayState.NOTHING_EXPECTED: "no products expected",
    DayState.UNKNOWN: "unknown",
}

_WEEK: Final = 7
_WEEKS_IN_A_PART: Final = 27
"""Two parts, side by side on a screen and one below the other on a phone."""
_ROOM_FOR_A_MONTH: Final = 3
"""Columns that a month's name needs."""
_MOST_TILES: Final = 12
"""Maximum number of tiles named for a day; the table below names all."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One day: column, row, state and tooltip."""

    day: date
    column: int
    row: int
    state: DayState
    title: str


@dataclass(frozen=True, slots=True)
class Part:
    """Part of the calendar: number of weeks, month names by column, and days."""

    weeks: int
    months: Sequence[tuple[int, str]]
    cells: Sequence[Cell]

    @property
    def title(self) -> str:
        """Text alternative of the part."""
        incomplete = sum(
            cell.state in (DayState.INCOMPLETE, DayState.ALL_MISSING) for cell in self.cells
        )
        return (
            f"{self.cells[0].day} to {self.cells[-1].day}: "
            f"{incomplete} of {len(self.cells)} days are incomplete"
        )


def parts(days: Mapping[str, Mapping[str, Any]], last_day: str) -> list[Part]:
    """Return the calendar of the year that ends with a day.

    Args:
        days: By day and tile, as in a report; other days are unknown.
        last_day: As ``YYYY-MM-DD``.
    """
    last = date.fromisoformat(last_day)
    shown = [last - timedelta(days=ago) for ago in reversed(range(DAYS))]
    monday = shown[0] - timedelta(days=shown[0].weekday())
    middle = monday + timedelta(weeks=_WEEKS_IN_A_PART)
    halves = (
        [day for day in shown if day < middle],
        [day for day in shown if day >= middle],
    )
    return [_part(half, days) for half in halves]


def _part(shown: Sequence[date], days: Mapping[str, Mapping[str, Any]]) -> Part:
    monday = shown[0] - timedelta(days=shown[0].weekday())
    cells = [_cell(day, (day - monday).days, days.get(day.isoformat())) for day in shown]
    return Part(cells[-1].column + 1, _months(cells), cells)


def _cell(day: date, place: int, tiles: Mapping[str, Any] | None) -> Cell:
    state, said = _state(tiles)
    return Cell(day, place // _WEEK, place % _WEEK, state, f"{day}: {said}")


def _state(tiles: Mapping[str, Any] | None) -> tuple[DayState, str]:
    if tiles is None:
        return DayState.UNKNOWN, LEGEND[DayState.UNKNOWN]
    expected = sum(facts["expected"] for facts in tiles.values())
    present = sum(facts["present"] for facts in tiles.values())
    incomplete = {tile: facts for tile, facts in sorted(tiles.items()) if facts["missing"]}
    if not expected:
        return DayState.NOTHING_EXPECTED, LEGEND[DayState.NOTHING_EXPECTED]
    if not incomplete:
        return DayState.COMPLETE, f"{present} of {expected}"
    said = f"{present} of {expected}, missing: {_named(incomplete)}"
    return (DayState.INCOMPLETE if present else DayState.ALL_MISSING), said


def _named(incomplete: Mapping[str, Any]) -> str:
    named = [
        f"{tile} {', '.join(facts['why']) or facts['missing']}"
        for tile, facts in list(incomplete.items())[:_MOST_TILES]
    ]
    more = len(incomplete) - len(named)
    return "; ".join(named) + (f" and {more} more tiles" if more else "")


def _months(cells: Iterable[Cell]) -> list[tuple[int, str]]:
    """Return the name of each month, above its first complete week that has enough space."""
    names: list[tuple[int, str]] = []
    month = None
    for cell in cells:
        if cell.row == 0 and cell.day.month != month:
            month = cell.day.month
            if names and cell.column - names[-1][0] < _ROOM_FOR_A_MONTH:
                names.pop()
            names.append((cell.column, f"{cell.day:%b}"))
    return names
