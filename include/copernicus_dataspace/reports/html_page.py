"""Renders a report as one self-contained HTML page."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.reports import calendar, wording
from copernicus_dataspace.reports.calendar import DayState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MOST_ROWS: Final = 1000
"""Maximum number of rows of each table; the JSON has all."""
_ALL_PERCENT: Final = 100

_STATES: Final = {
    ProductState.PRESENT: "complete and correct",
    ProductState.MISSING: "published in time, but not in the archive",
    ProductState.LATE: "published after its day's run",
    ProductState.OFFLINE: "offline in the Data Space",
    ProductState.DAMAGED: "size or checksum of a file is wrong",
    ProductState.ABSENT: "a file of a delivered product does not exist",
    ProductState.SUPERSEDED: "replaced by a newer version",
    ProductState.WITHDRAWN: "deleted from the Data Space",
    ProductState.ORPHANED: "in the archive, but not listed for this ingest",
}
"""Meaning of each state of a product."""


def html(report: Mapping[str, Any], *, alarms: Sequence[str] = ()) -> str:
    """Return a report as a page.

    Args:
        report: As of `report.build`.
        alarms: Current problems beyond the report, in sentences.
    """
    incomplete, exceptions = wording.incomplete_days(report), wording.exceptions(report)
    return _drawn(
        "report.html.j2",
        report=report,
        alarms=alarms,
        periods=wording.PERIODS,
        parts=calendar.parts(report["days"], report["last_day"]),
        legend=calendar.LEGEND,
        incomplete=incomplete[:_MOST_ROWS],
        incomplete_more=max(0, len(incomplete) - _MOST_ROWS),
        exceptions=exceptions[:_MOST_ROWS],
        exceptions_more=max(0, len(exceptions) - _MOST_ROWS),
        states=_STATES,
        words=wording,
    )


def overview(
    rows: Iterable[Mapping[str, Any]], *, alarms: Sequence[str] = (), notes: Sequence[str] = ()
) -> str:
    """Return a page with one row for each ingest.

    Args:
        rows: For each ``ingest`` its `wording.headline`, or ``why`` there is none.
        alarms: Problems of all ingests, in sentences.
        notes: Other notes.
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


def _tone(value: float | None) -> DayState:
    """Return the CSS class of a share."""
    if value is None:
        return DayState.UNKNOWN
    return DayState.COMPLETE if value >= _ALL_PERCENT else DayState.INCOMPLETE
