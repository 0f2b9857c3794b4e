"""Renders a report as text, for logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.reports.wording import (
    PERIODS,
    approval,
    cost,
    exceptions,
    held_back,
    in_words,
    incomplete_days,
    known_days,
    made,
    mode,
    not_counted,
    percent,
    period,
    table,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MOST_LINES: Final = 50
"""Maximum length of each list; the report has all."""


def as_text(report: Mapping[str, Any]) -> str:
    """Return a report as one page of text.

    Args:
        report: As of `report.build`.
    """
    why_not = f"  {mode(report)}" if mode(report) else ""
    shares = (_share(report, days) for days in PERIODS)
    lines = [
        f"{report['ingest']}  {report['area']}  {report['product_type']}  {period(report)}"
        + why_not,
        f"Made {made(report)}. {cost(report)}",
        verdict(report),
        f"Complete to {report['last_day']}: {', '.join(shares)}.",
        *_freshness(report["freshness"]),
        f"Found: {in_words(report['counts'])}.",
        *filter(None, [approval(report)]),
        *(f"Note: {note}" for note in (*report["notes"], *held_back(report))),
        *_listed("Incomplete days", [_of_day(row) for row in incomplete_days(report)]),
        *_listed("Exceptions", [_of_exception(row) for row in exceptions(report)]),
    ]
    return "\n".join(lines) + "\n"


def _share(report: Mapping[str, Any], days: str) -> str:
    known = known_days(report, days)
    of_days = f"of the {known} known of {days} days" if known else f"of {days} days"
    left_out = not_counted(report, days)
    said = f"{percent(report['completeness'].get(days))} {of_days}"
    return f"{said} ({left_out})" if left_out else said


def _freshness(freshness: Mapping[str, Any]) -> Iterator[str]:
    known = ((days, freshness.get(days)) for days in PERIODS)
    said = [
        f"{hours['median_h']:.1f} h (95 %: {hours['p95_h']:.1f} h) over {days} days"
        for days, hours in known
        if hours
    ]
    if said:
        yield f"From sensing to delivery, median: {', '.join(said)}."


def _listed(title: str, rows: Sequence[list[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in table(list(rows[:_MOST_LINES])))
    if len(rows) > _MOST_LINES:
        yield f"  and {len(rows) - _MOST_LINES:,} more, see the report"


def _of_day(row: Mapping[str, Any]) -> list[str]:
    there = f"{row['present']} of {row['expected']}"
    return [row["day"], row["tile"], there, row["why"]]


def _of_exception(row: Mapping[str, Any]) -> list[str]:
    done = f"{row['action']}, now {row['now']}" if row["now"] else row["action"]
    return [row["day"], row["tile"] or "-", row["state"], row["name"], f"{row['why']}; {done}"]
