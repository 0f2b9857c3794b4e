"""Texts of a report, shared by the HTML page and the log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.models.byte_sizes import gigabytes
from copernicus_dataspace.models.product_state import ProductState, StateAfterRepair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PERIODS: Final = ("7", "30", "365")
"""Numbers of days, as keys of a report."""
NOT_KNOWN: Final = "unknown"

_DOWNLOADED: Final = [state for state in ProductState if state.needs_download]
_TENTH: Final = Decimal("0.1")
_ANSWER_PATH: Final = re.compile(
    r"dags/[\w-]+/runs/(?!\.)([\w.~-]|%(?!2e)[\da-f]{2})+/tasks/[\w-]+/required_actions",
    re.ASCII | re.IGNORECASE,
)
"""The path of an approval in the UI; other paths of a stored report are not linked."""


def report_name(report: Mapping[str, Any]) -> str:
    """Return the base name of a report's files: ``2026-11-23T030000Z``."""
    return f"{_made(report):%Y-%m-%dT%H%M%SZ}"


def made(report: Mapping[str, Any]) -> str:
    """Return when a report was created, to the minute."""
    return f"{_made(report):%Y-%m-%d %H:%M} UTC"


def period(report: Mapping[str, Any]) -> str:
    """Return the days a report covers."""
    first, last = report["first_day"], report["last_day"]
    days = first if first == last else f"{first} to {last}"
    return f"{days}, by day of sensing"


def percent(value: float | None) -> str:
    """Return a percentage rounded down to a tenth, so that 100 % means all."""
    if value is None:
        return NOT_KNOWN
    tenths = Decimal(str(value)).quantize(_TENTH, ROUND_FLOOR)
    return f"{int(tenths) if tenths == int(tenths) else tenths} %"


def share(report: Mapping[str, Any], days: str) -> str:
    """Return the completeness of the last days, and the number of known days if not all are."""
    said, known = percent(report["completeness"].get(days)), known_days(report, days)
    return f"{said} of {known} known" if known else said


def known_days(report: Mapping[str, Any], days: str) -> int | None:
    """Return how many of the last days are known.

    None if all are, if the report does not say, or if no products were expected.
    """
    known = report.get("known_days", {}).get(days)
    is_part = known is not None and known < int(days)
    return known if is_part and report["completeness"].get(days) is not None else None


def not_counted(report: Mapping[str, Any], days: str) -> str:
    """Return which products the completeness of the last days leaves out; empty for none."""
    number = report.get("not_counted", {}).get(days)
    return f"not counted: {products(number)} offline" if number else ""


def verdict(report: Mapping[str, Any]) -> str:
    """Return the result in one sentence."""
    missing, repaired = report["still_missing"], report["repaired"]
    if report["dry_run"]:
        wanted = sum(one["state"] in _DOWNLOADED for one in report["exceptions"])
        return f"Nothing was changed; {products(wanted)} would be downloaded."
    of_days, offline = f"of the {_days_checked(report)} checked", report.get("offline")
    said = (
        f"{products(missing)} {of_days} {'is' if missing == 1 else 'are'} still missing"
        if missing
        else f"No {'available ' if offline else ''}products {of_days} are missing"
    )
    if offline:
        said += f", and {products(offline)} {'is' if offline == 1 else 'are'} offline"
    return f"{said}; {products(repaired)} repaired." if repaired else f"{said}."


def approval(report: Mapping[str, Any]) -> str:
    """Return what waits for approval, since when and where; empty if nothing does."""
    facts = report.get("approval") or {}
    number = facts.get("waiting")
    if not number:
        return ""
    if facts.get("answer"):
        return f"The removal of {products(number)} was requested and {facts['answer']}."
    since = datetime.fromisoformat(facts["since"]).astimezone(UTC)
    verb = "waits" if number == 1 else "wait"
    off = facts["switch_on"]
    how = f"Switch {off} on, then answer" if off else "Answer"
    return (
        f"{products(number)} {verb} for approval to be removed or moved to quarantine, since "
        f"{since:%Y-%m-%d %H:%M} UTC. {how} in {facts['where']}."
    )


def approval_path(report: Mapping[str, Any]) -> str:
    """Return the path of the approval below the UI's base URL; empty if nothing waits."""
    facts = report.get("approval") or {}
    path = facts.get("path") or ""
    return path if _ANSWER_PATH.fullmatch(path) and not facts.get("answer") else ""


def held_back(report: Mapping[str, Any]) -> list[str]:
    """Return notes on rejected removals and on a damaged removal record."""
    facts, notes = report.get("approval") or {}, []
    if facts.get("rejected"):
        kept = "it is kept" if facts["rejected"] == 1 else "they are kept"
        notes.append(f"The removal of {products(facts['rejected'])} was rejected: {kept}.")
    if facts.get("is_lost"):
        notes.append(
            "The record of earlier removals is damaged: for 30 days every removal needs approval."
        )
    return notes


def headline(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a report in the overview: last day, shares, result, approval, creation."""
    return {
        "last_day": report["last_day"],
        "shares": [share(report, days) for days in PERIODS],
        "verdict": verdict(report),
        "approval": approval(report),
        "approval_path": approval_path(report),
        "made": made(report),
    }


def mode(report: Mapping[str, Any]) -> str:
    """Return why nothing was changed; empty if changes were allowed."""
    if report["switched_off"]:
        return f"{report['ingest']} is switched off: nothing was changed"
    return "dry run: nothing was changed" if report["dry_run"] else ""


def in_words(counts: Mapping[str, int]) -> str:
    """Return counts by state: ``2,990 present, 3 missing``."""
    return ", ".join(f"{number:,} {state}" for state, number in counts.items()) or "nothing"


def cost(report: Mapping[str, Any]) -> str:
    """Return requests and bytes that the inspection took."""
    number = report["requests"]
    listed = f"The catalogue listed {products(report['listed'])}"
    requests = f"{number:,} request{'' if number == 1 else 's'}"
    read = gigabytes(report["scrubbed_bytes"])
    return f"{listed} in {requests}; {read} of files were read."


def products(number: int) -> str:
    """Return a number with ``product`` or ``products``."""
    return f"{number:,} product{'' if number == 1 else 's'}"


def incomplete_days(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each incomplete day and tile, the newest first."""
    return [
        {"day": day, "tile": tile, **facts, "why": ", ".join(facts["why"])}
        for day, tiles in sorted(report["days"].items(), reverse=True)
        for tile, facts in sorted(tiles.items())
        if facts["missing"]
    ]


def exceptions(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the exceptions: missing products first, then the newest first."""
    newest_first = sorted(report["exceptions"], key=lambda row: row["day"], reverse=True)
    return sorted(newest_first, key=lambda row: row["now"] != StateAfterRepair.MISSING)


def table(rows: list[list[str]]) -> Iterator[str]:
    """Yield rows as lines of text with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _days_checked(report: Mapping[str, Any]) -> str:
    number = report["looked_at"]
    return "day" if number == 1 else f"{number} days"


def _made(report: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(report["made"]).astimezone(UTC)
