"""Draws a report as one page of HTML that needs nothing but itself."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from copernicus_dataspace.reports import calendar, wording

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MOST_ROWS: Final = 1000
"""Of each table; a browser shows so many at once, and the JSON holds all."""
_ALL_PERCENT: Final = 100

_STATES: Final = {
    "present": "stands as it should",
    "missing": "published in time and not there",
    "late": "published after its day's run",
    "offline": "the Data Space has it offline",
    "damaged": "a file's size or digest is wrong",
    "absent": "its item stands, a file of it does not",
    "superseded": "a newer version of it is published",
    "withdrawn": "no longer published",
    "orphaned": "stands, and nothing says that it should",
}
"""How a product was found."""


def html(report: Mapping[str, Any], *, alarms: Sequence[str] = ()) -> str:
    """Return a report as a page.

    Args:
        report: As of `report.build`.
        alarms: What is wrong now, whatever the report says, in sentences.
    """
    lacking, exceptions = wording.lacking(report), wording.exceptions(report)
    return _drawn(
        "report.html.j2",
        report=report,
        alarms=alarms,
        periods=wording.PERIODS,
        parts=calendar.parts(report["days"], report["last_day"]),
        legend=calendar.STATES,
        lacking=lacking[:_MOST_ROWS],
        lacking_more=max(0, len(lacking) - _MOST_ROWS),
        exceptions=exceptions[:_MOST_ROWS],
        exceptions_more=max(0, len(exceptions) - _MOST_ROWS),
        states=_STATES,
        words=wording,
    )


def overview(
    rows: Iterable[Mapping[str, Any]], *, alarms: Sequence[str] = (), notes: Sequence[str] = ()
) -> str:
    """Return a page with one line for each ingest.

    Args:
        rows: Of each ``ingest`` the `report_words.headline`, or ``why`` there is none.
        alarms: What is wrong with all of them, in sentences.
        notes: What else should be known.
    """
    return _drawn("reports.html.j2", rows=list(rows), alarms=alarms, notes=notes, words=wording)


def _drawn(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values, tone=_tone)


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("copernicus_dataspace.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _tone(value: float | None) -> str:
    """Return how a share is to look: as all, as less than all, or as nothing known."""
    if value is None:
        return "unknown"
    return "complete" if value >= _ALL_PERCENT else "partly"
