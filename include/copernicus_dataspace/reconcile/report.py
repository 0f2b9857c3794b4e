"""Builds the report of an archive's completeness."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.reconcile.inspection.findings import FETCHED, OFFLINE
from copernicus_dataspace.reconcile.repair import NOW_GONE, NOW_MISSING, NOW_PRESENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.reconcile.inspection.history import History
    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.reconcile.repair import RepairResult

PERIODS_DAYS: Final = (7, 30, 365)


def build(
    plan: Plan, outcomes: Sequence[RepairResult], history: History, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report as JSON values.

    Args:
        plan: The inspection.
        outcomes: Results of the repairs.
        history: History of all days, including these.
        facts: ``ingest``, ``area``, ``product_type``, ``made`` (an ISO instant), ``dry_run``.
    """
    last = plan.last
    return {
        **facts,
        "first_day": plan.days[0].isoformat(),
        "last_day": last.isoformat(),
        "requests": plan.requests,
        "listed": plan.listed,
        "looked_at": len(plan.days),
        "scrubbed_bytes": plan.scrubbed_bytes,
        "counts": dict(plan.counts),
        "repaired": sum(one.now == NOW_PRESENT for one in outcomes),
        "still_missing": len(still_missing(outcomes)),
        "offline": sum(one.finding.state == OFFLINE for one in outcomes),
        "completeness": {str(n): history.completeness(last, n) for n in PERIODS_DAYS},
        "known_days": {str(n): history.known_days(last, n) for n in PERIODS_DAYS},
        "not_counted": {str(n): history.offline(last, n) for n in PERIODS_DAYS},
        "freshness": {str(n): history.freshness(last, n) for n in PERIODS_DAYS},
        "days": {
            day: {tile: _cell(cell) for tile, cell in sorted(tiles.items())}
            for day, tiles in history.days.items()
        },
        "exceptions": [one.to_json() for one in outcomes],
        "notes": [*plan.notes, *(f"unusable row of the catalogue: {row}" for row in plan.unusable)],
    }


def cells_now(plan: Plan, outcomes: Iterable[RepairResult]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the plan's days and tiles after the repairs, including days without products."""
    cells: dict[str, dict[str, dict[str, Any]]] = {day.isoformat(): {} for day in plan.days}
    for day, tiles in plan.cells.items():
        cells[day] = {tile: {**cell, "why": dict(cell["why"])} for tile, cell in tiles.items()}
    for one in outcomes:
        row = one.to_json()
        if one.finding.state in FETCHED and one.now == NOW_PRESENT and row["day"] in cells:
            cell = cells[row["day"]][row["tile"]]
            cell["present"] += 1
            cell["why"][one.finding.state] -= 1
    return cells


def still_missing(outcomes: Iterable[RepairResult]) -> list[str]:
    """Return the names of products that are available but missing."""
    return [
        one.finding.product.stem
        for one in outcomes
        if one.finding.state in FETCHED and one.now == NOW_MISSING
    ]


def changes(outcomes: Iterable[RepairResult]) -> dict[str, dict[str, Any]]:
    """Return replaced and withdrawn products by sensing day; data derived from them is outdated.

    ``replaced`` maps the id of each removed product to the ids of its successors; ``withdrawn`` is
    a list of ids. A damaged file that was downloaded again is not a change.
    """
    days: dict[str, dict[str, Any]] = defaultdict(lambda: {"replaced": {}, "withdrawn": []})
    for one in outcomes:
        product, successors = one.finding.product, one.finding.successors
        if one.now != NOW_GONE:
            continue
        day = product.sensed.date().isoformat()
        if successors:
            days[day]["replaced"][product.id] = [instead.id for instead in successors]
        else:
            days[day]["withdrawn"].append(product.id)
    return dict(days)


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    why = [f"{state} {number}" for state, number in sorted(cell["why"].items()) if number]
    expected, present = cell["expected"], cell["present"]
    return {"expected": expected, "present": present, "missing": expected - present, "why": why}
