"""Reads and validates a stored report, which others with write access may have changed.

Unknown fields are passed through unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime  # noqa: TC003 - msgspec reads the annotations
from typing import Annotated, Any, Final

from msgspec import Meta

from copernicus_dataspace.errors import ReportError
from copernicus_dataspace.json_records import Amount, Count, from_json, read_strict_json

MOST_BYTES: Final = 100_000_000
"""More than ten years of a country's tiles; the limit protects the memory of the web server."""

_YEARS: Final = range(2000, 2200)
"""Valid years; far enough from the limits of the calendar."""

_Share = Annotated[float, Meta(ge=0, le=100)]


@dataclass(frozen=True, slots=True)
class _Cell:
    expected: Count
    present: Count
    missing: Count
    why: list[str]


@dataclass(frozen=True, slots=True)
class _Hours:
    median_h: Amount
    p95_h: Amount


@dataclass(frozen=True, slots=True)
class _Row:
    day: str
    tile: str | None
    name: str
    state: str
    why: str
    action: str
    now: str


@dataclass(frozen=True, slots=True)
class _Approval:
    waiting: Count = 0
    rejected: Count = 0
    since: datetime | None = None
    path: str | None = None
    where: str | None = None
    switch_on: str | None = None
    answer: str | None = None

    def __post_init__(self) -> None:
        if self.since is not None:
            _check_year("since", self.since)
        if self.waiting and None in (self.since, self.where, self.switch_on):
            message = "approval does not say since when and where removals wait"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class _Report:
    """The known fields of a report; those with a default may be missing."""

    ingest: str
    area: str
    product_type: str
    made: datetime
    dry_run: bool
    first_day: date
    last_day: date
    requests: Count
    listed: Count
    looked_at: Count
    repaired: Count
    still_missing: Count
    counts: dict[str, Count]
    completeness: dict[str, _Share | None]
    freshness: dict[str, _Hours | None]
    days: dict[str, dict[str, _Cell]]
    exceptions: list[_Row]
    switched_off: bool = False
    scrubbed_bytes: Count = 0
    by: str = "sensing"
    notes: list[str] = field(default_factory=list)
    approval: _Approval | None = None
    offline: Count = 0
    known_days: dict[str, Count] = field(default_factory=dict)
    not_counted: dict[str, Count] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("made", "first_day", "last_day"):
            _check_year(name, getattr(self, name))


def read_report(content: bytes) -> dict[str, Any]:
    """Return a report whose known fields are complete and valid.

    Raises:
        ReportError: It is not JSON, or not a report; the message names the field.
    """
    stored = read_object(content)
    try:
        report = from_json(stored, _Report)
    except ValueError as error:
        raise _not_a_report(error) from error
    absent = (one.name for one in fields(report) if one.name not in stored)
    return {**stored, **{name: getattr(report, name) for name in absent}}


def read_object(content: bytes) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        ReportError: It has none, or is not strict JSON.
    """
    try:
        return read_strict_json(content, dict[str, Any])
    except ValueError as error:
        raise _not_a_report(error) from error


def _not_a_report(error: ValueError) -> ReportError:
    return ReportError(f"it is not a report: {error}.")


def _check_year(name: str, day: date) -> None:
    if day.year not in _YEARS:
        message = f"{name} is {day}"
        raise ValueError(message)
