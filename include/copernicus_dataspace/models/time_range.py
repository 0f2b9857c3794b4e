"""Half-open UTC intervals, and UTC days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Self

from copernicus_dataspace.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Window:
    """The instants from ``start`` to before ``end``, both aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            message = f"window {self.start} to {self.end}: both ends need a time zone."
            raise QueryError(message)
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.start >= self.end:
            message = f"window {self.start} to {self.end} is empty or reversed; swap its ends."
            raise QueryError(message)

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """Return the window from the first day's midnight to the end of the last day.

        Raises:
            QueryError: The last day lies before the first, or is the last of the calendar.
        """
        if last == date.max:
            message = f"last_day {last} is out of range; choose an earlier day."
            raise QueryError(message)
        if last < first:
            message = f"last_day {last} lies before first_day {first}; swap them."
            raise QueryError(message)
        return cls(_midnight(first), _midnight(last) + timedelta(days=1))

    @property
    def days(self) -> tuple[date, ...]:
        """The UTC days that lie completely inside, in order."""
        first, end = self.start.date(), self.end.date()
        if self.start > _midnight(first):
            first += timedelta(days=1)
        return tuple(first + timedelta(days=n) for n in range((end - first).days))

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{format_instant(self.start)} to {format_instant(self.end)}"


def spans(days: Iterable[date], *, gap: int = 0) -> list[Window]:
    """Return the fewest windows that contain some days; gaps of up to `gap` days are included.

    Args:
        days: In order.
        gap: Maximum length in days of a gap inside a window.
    """
    windows: list[tuple[date, date]] = []
    for day in days:
        if windows and day - windows[-1][1] <= timedelta(days=gap + 1):
            windows[-1] = windows[-1][0], day
        else:
            windows.append((day, day))
    return [Window.of_days(first, last) for first, last in windows]


def utc_now() -> datetime:
    """Return the present instant, in UTC."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Parse an ISO 8601 instant, in UTC; a text without a zone is UTC.

    Raises:
        ValueError: The text is not an ISO 8601 instant.
    """
    instant = datetime.fromisoformat(text)
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError as error:
        message = f"{text!r} lies beyond the years 1 to 9999 in UTC"
        raise ValueError(message) from error


def format_instant(instant: datetime) -> str:
    """Return an instant as the catalogue writes literals, in milliseconds and with ``Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_day(text: str) -> date:
    """Parse a day ``YYYY-MM-DD``.

    Raises:
        QueryError: The text is not such a day.
    """
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        message = f"{text!r} is not a day; write it as YYYY-MM-DD, for example 2024-08-01."
        raise QueryError(message) from error


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
