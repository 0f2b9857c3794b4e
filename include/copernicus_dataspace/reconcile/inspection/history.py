"""History of the inspections of an ingest, by sensing day.

A cache: if it is lost, the next inspection covers all days.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.errors import UNREADABLE
from copernicus_dataspace.models.time_range import Window, parse_instant
from copernicus_dataspace.reconcile.inspection.findings import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

_REMEMBERED: Final = timedelta(days=365)
_LATE_PERCENTILE: Final = 0.95
_MOST: Final = 1e15
"""Maximum number of products and hours, as in `reports.reader`."""


@dataclass(frozen=True, slots=True)
class Survey:
    """An inspection of the whole archive.

    Attributes:
        at: Time of the inspection.
        product_type: ``S2MSI2A`` or ``S2MSI1C``; None in earlier versions, which have no days.
        days: Sensing days that belong to the archive, in order.
    """

    at: datetime
    product_type: str | None = None
    days: tuple[Window, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the survey that `to_json` wrote.

        Raises:
            `errors.UNREADABLE`: It did not.
        """
        days = tuple(
            Window.of_days(date.fromisoformat(first), date.fromisoformat(last))
            for first, last in record.get("days", ())
        )
        if any(before.end > after.start for before, after in itertools.pairwise(days)):
            message = "the windows of a survey are not in order."
            raise ValueError(message)
        return cls(parse_instant(record["at"]), record.get("product_type"), days)

    def to_json(self) -> dict[str, Any]:
        """Return the survey as JSON values: first and last day of each window, both included."""
        return {
            "at": self.at.isoformat(),
            "product_type": self.product_type,
            "days": [
                [f"{window.start.date()}", f"{window.end.date() - timedelta(days=1)}"]
                for window in self.days
            ],
        }


@dataclass(frozen=True, slots=True)
class History:
    """The history of one ingest.

    Attributes:
        days: By sensing day and tile: number of ``expected`` and ``present`` products, and of the
            others by state.
        delays_h: By sensing day the hours from sensing to first delivery of each product.
        scrubbed: Day of the last checksum scan.
        survey: The last inspection of the whole archive.
    """

    days: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    delays_h: Mapping[str, Sequence[float]] = field(default_factory=dict)
    scrubbed: date | None = None
    survey: Survey | None = None

    @classmethod
    def read(cls, content: bytes | None) -> Self:
        """Return what `to_bytes` wrote; an empty history if it is missing or damaged."""
        try:
            record = json.loads(content or b"")
            days, survey, scrubbed = record["days"], record["survey"], record["scrubbed"]
            return cls(
                days=cells_of(days),
                delays_h=delays_of(record["delays_h"]),
                scrubbed=date.fromisoformat(scrubbed) if scrubbed else None,
                survey=Survey.from_json(survey) if survey else None,
            )
        except UNREADABLE:
            return cls()

    def to_bytes(self) -> bytes:
        """Return the history as JSON."""
        record = {
            "days": self.days,
            "delays_h": self.delays_h,
            "scrubbed": self.scrubbed.isoformat() if self.scrubbed else None,
            "survey": self.survey.to_json() if self.survey else None,
        }
        return json.dumps(record).encode()

    def until(self, now: datetime) -> History:
        """Return the history without impossible entries: future days and days before the mission.

        Those were not written by us, and would prevent inspections, or extend them to millions of
        days.
        """
        first, last = MISSION.start.date().isoformat(), now.date().isoformat()
        survey = self.survey if self.survey and self.survey.at <= now else None
        return History(
            days={day: one for day, one in self.days.items() if first <= day <= last},
            delays_h={day: one for day, one in self.delays_h.items() if first <= day <= last},
            scrubbed=self.scrubbed if self.scrubbed and self.scrubbed <= now.date() else None,
            survey=survey and replace(survey, days=_between(survey.days, MISSION.start, now)),
        )

    def surveyed(self, product_type: str) -> Iterator[date]:
        """Yield the sensing days of the last whole inspection.

        For a survey of an earlier version: days of the last year that had products.
        """
        survey = self.survey
        if survey is None:
            return
        if survey.product_type is None:
            for day, tiles in self.days.items():
                if any(cell["expected"] for cell in tiles.values()):
                    yield date.fromisoformat(day)
        elif survey.product_type == product_type:
            for window in survey.days:
                yield from window.days

    def with_days(
        self,
        looked_at: Iterable[date],
        days: Mapping[str, Mapping[str, Mapping[str, Any]]],
        delays_h: Mapping[str, Sequence[float]],
        *,
        until: date | None = None,
    ) -> History:
        """Return the history with some days replaced, and without those older than a year.

        Args:
            looked_at: Inspected days.
            days: Their cells.
            delays_h: Their delays.
            until: Last day of that year; None for the newest known day.
        """
        anew = {day.isoformat() for day in looked_at}
        newest = f"{until}" if until else max([*anew, *self.days], default="")
        oldest = f"{date.fromisoformat(newest) - _REMEMBERED}" if newest else ""

        def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
            kept = {day: old[day] for day in old if day not in anew} | dict(new)
            return {day: kept[day] for day in sorted(kept) if day > oldest}

        return replace(self, days=joined(self.days, days), delays_h=joined(self.delays_h, delays_h))

    def completeness(self, last_day: date, number: int) -> float | None:
        """Return the percentage of the expected products of the last days that is present.

        Offline products are not counted.
        """
        cells = self._cells(last_day, number)
        expected: int = sum(cell["expected"] - _offline(cell) for cell in cells)
        present: int = sum(cell["present"] for cell in cells)
        if not expected:
            return None
        return 10_000 * present // expected / 100  # rounded down, so that 100 means all

    def offline(self, last_day: date, number: int) -> int:
        """Return how many products of the last days are offline and not held."""
        return sum(map(_offline, self._cells(last_day, number)))

    def known_days(self, last_day: date, number: int) -> int:
        """Return how many of the last days were inspected."""
        return sum(day in self.days for day in _last(last_day, number))

    def _cells(self, last_day: date, number: int) -> list[Mapping[str, Any]]:
        return [cell for day in _last(last_day, number) for cell in self.days.get(day, {}).values()]

    def freshness(self, last_day: date, number: int) -> dict[str, float] | None:
        """Return median and 95th percentile of the hours from sensing to delivery."""
        delays_h = sorted(
            delay_h for day in _last(last_day, number) for delay_h in self.delays_h.get(day, ())
        )
        if not delays_h:
            return None
        late = delays_h[math.ceil(_LATE_PERCENTILE * len(delays_h)) - 1]
        return {"median_h": round(median(delays_h), 1), "p95_h": round(late, 1)}


def _offline(cell: Mapping[str, Any]) -> int:
    said: int = cell["why"].get(OFFLINE, 0)
    absent: int = cell["expected"] - cell["present"]
    return min(max(0, said), absent)


def _last(last_day: date, number: int) -> Iterator[str]:
    return (f"{last_day - timedelta(days=n)}" for n in range(number))


def _between(windows: Iterable[Window], start: datetime, end: datetime) -> tuple[Window, ...]:
    cut = ((max(one.start, start), min(one.end, end)) for one in windows)
    return tuple(Window(first, last) for first, last in cut if first < last)


def cells_of(record: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Parse cells by day and tile.

    Raises:
        `errors.UNREADABLE`: They are damaged.
    """
    return {
        _day(day): {tile: _cell(tiles[tile]) for tile in tiles} for day, tiles in record.items()
    }


def delays_of(record: Mapping[str, Any]) -> dict[str, list[float]]:
    """Parse delays by day.

    Raises:
        `errors.UNREADABLE`: They are damaged.
    """
    return {_day(day): [*map(_hours, delays)] for day, delays in record.items()}


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _hours(value: Any) -> float:
    hours = float(value)
    if not abs(hours) < _MOST:
        message = f"{hours} is not a number of hours."
        raise ValueError(message)
    return hours


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    expected, present = int(cell["expected"]), int(cell["present"])
    if not 0 <= present <= expected < _MOST:
        message = f"{present} of {expected} products cannot be present."
        raise ValueError(message)
    why = {str(state): int(number) for state, number in cell["why"].items()}
    return {"expected": expected, "present": present, "why": why}
