"""History of the inspections of an ingest, by sensing day.

A cache: if it is lost, the next inspection covers all days.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from msgspec import Meta

from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.json_records import Count, Instant, read_json_or, write_json
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.models.time_range import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

_REMEMBERED: Final = timedelta(days=365)
_LATE_PERCENTILE: Final = 0.95

Hours = Annotated[float, Meta(ge=-1e15, le=1e15)]


@dataclass(frozen=True, slots=True)
class Survey:
    """An inspection of the whole archive.

    Attributes:
        at: Time of the inspection.
        product_type: ``S2MSI2A`` or ``S2MSI1C``; None in earlier versions, which have no days.
        days: First and last sensing day, both included, of each period that belongs to the
            archive, in order.
    """

    at: Instant
    product_type: str | None = None
    days: tuple[tuple[date, date], ...] = ()

    def __post_init__(self) -> None:
        every = [day for period in self.days for day in period]
        # a period cannot end on date.max, see `Window.of_days`: its end would be out of range
        if every != sorted(every) or date.max in every:
            message = "the days of a survey are not in order."
            raise ValueError(message)

    def between(self, first: date, last: date) -> Survey:
        """Return the survey without days outside of a period."""
        cut = ((max(start, first), min(end, last)) for start, end in self.days)
        return replace(self, days=tuple((start, end) for start, end in cut if start <= end))


@dataclass(frozen=True, slots=True)
class TileCounts:
    """Products of a day and tile.

    Attributes:
        expected: Number of products that should be held.
        present: Number of those that are present.
        why: Number of the others by state.
    """

    expected: Count
    present: Count
    why: Mapping[str, int]

    def __post_init__(self) -> None:
        if self.present > self.expected:
            message = f"{self.present} of {self.expected} products cannot be present."
            raise ValueError(message)

    def repaired(self, state: ProductState) -> TileCounts:
        """Return the counts after a product of a state was repaired."""
        why = {**self.why, state: self.why[state] - 1}
        return TileCounts(self.expected, self.present + 1, why)

    @property
    def offline(self) -> int:
        """Number of products that are offline and not held."""
        offline = self.why.get(ProductState.OFFLINE, 0)
        return min(max(0, offline), self.expected - self.present)


Days = Mapping[str, Mapping[str, TileCounts]]
"""Counts by sensing day and tile."""
DelaysH = Mapping[str, Sequence[Hours]]
"""By sensing day the hours from sensing to first delivery of each product."""


@dataclass(frozen=True, slots=True)
class History:
    """The history of one ingest.

    Attributes:
        days: Counts of the products.
        delays_h: Delays of the deliveries.
        scrubbed: Day of the last checksum scan.
        survey: The last inspection of the whole archive.
    """

    days: Days = field(default_factory=dict)
    delays_h: DelaysH = field(default_factory=dict)
    scrubbed: date | None = None
    survey: Survey | None = None

    def __post_init__(self) -> None:
        check_days(self.days)
        check_days(self.delays_h)

    @classmethod
    def read(cls, content: bytes | None) -> Self:
        """Return what `to_bytes` wrote; an empty history if it is missing or damaged."""
        return read_json_or(content, cls, cls())

    def to_bytes(self) -> bytes:
        """Return the history as JSON."""
        return write_json(self)

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
            survey=survey and survey.between(MISSION.start.date(), now.date() - timedelta(days=1)),
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
                if any(counts.expected for counts in tiles.values()):
                    yield date.fromisoformat(day)
        elif survey.product_type == product_type:
            for first, last in survey.days:
                yield from Window.of_days(first, last).days

    def with_days(
        self,
        looked_at: Iterable[date],
        days: Days,
        delays_h: DelaysH,
        *,
        until: date | None = None,
    ) -> History:
        """Return the history with some days replaced, and without those older than a year.

        Args:
            looked_at: Inspected days.
            days: Their counts; of days that were not inspected, those of some tiles.
            delays_h: Their delays.
            until: Last day of that year; None for the newest known day.
        """
        anew = {day.isoformat() for day in looked_at}
        newest = f"{until}" if until else max([*anew, *self.days], default="")
        oldest = f"{date.fromisoformat(newest) - _REMEMBERED}" if newest else ""

        counts = {
            day: tiles if day in anew else {**self.days.get(day, {}), **tiles}
            for day, tiles in days.items()
        }

        def joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
            kept = {day: old[day] for day in old if day not in anew} | dict(new)
            return {day: kept[day] for day in sorted(kept) if day > oldest}

        delays_h = joined(self.delays_h, delays_h)
        return replace(self, days=joined(self.days, counts), delays_h=delays_h)

    def completeness(self, last_day: date, number: int) -> float | None:
        """Return the percentage of the expected products of the last days that is present.

        Offline products are not counted.
        """
        known = self._counts(last_day, number)
        expected = sum(counts.expected - counts.offline for counts in known)
        present = sum(counts.present for counts in known)
        if not expected:
            return None
        return 10_000 * present // expected / 100  # rounded down, so that 100 means all

    def offline(self, last_day: date, number: int) -> int:
        """Return how many products of the last days are offline and not held."""
        return sum(counts.offline for counts in self._counts(last_day, number))

    def known_days(self, last_day: date, number: int) -> int:
        """Return how many of the last days were inspected."""
        return sum(day in self.days for day in _last(last_day, number))

    def _counts(self, last_day: date, number: int) -> list[TileCounts]:
        days = (self.days.get(day, {}) for day in _last(last_day, number))
        return [counts for tiles in days for counts in tiles.values()]

    def freshness(self, last_day: date, number: int) -> dict[str, float] | None:
        """Return median and 95th percentile of the hours from sensing to delivery."""
        delays_h = sorted(
            delay_h for day in _last(last_day, number) for delay_h in self.delays_h.get(day, ())
        )
        if not delays_h:
            return None
        late = delays_h[math.ceil(_LATE_PERCENTILE * len(delays_h)) - 1]
        return {"median_h": round(median(delays_h), 1), "p95_h": round(late, 1)}


def _last(last_day: date, number: int) -> Iterator[str]:
    return (f"{last_day - timedelta(days=n)}" for n in range(number))


def check_days(days: Iterable[str]) -> None:
    """Refuse texts that are not days ``YYYY-MM-DD``.

    Raises:
        ValueError: One is not.
    """
    for day in days:
        if date.fromisoformat(day).isoformat() != day:
            message = f"{day!r} is not a day."
            raise ValueError(message)
