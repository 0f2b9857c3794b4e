"""Builds the report of an archive's completeness."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.models.product_state import ProductState, StateAfterRepair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.reconcile.inspection.history import History, TileCounts
    from copernicus_dataspace.reconcile.plan import Plan
    from copernicus_dataspace.reconcile.repair import RepairResult

PERIODS_DAYS: Final = (7, 30, 365)


def build(
    plan: Plan, results: Sequence[RepairResult], history: History, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report as JSON values.

    Args:
        plan: The inspection.
        results: Results of the repairs.
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
        "repaired": sum(one.now == StateAfterRepair.PRESENT for one in results),
        "still_missing": len(still_missing(results)),
        "offline": sum(one.finding.state == ProductState.OFFLINE for one in results),
        "completeness": {str(n): history.completeness(last, n) for n in PERIODS_DAYS},
        "known_days": {str(n): history.known_days(last, n) for n in PERIODS_DAYS},
        "not_counted": {str(n): history.offline(last, n) for n in PERIODS_DAYS},
        "freshness": {str(n): history.freshness(last, n) for n in PERIODS_DAYS},
        "days": {
            day: {tile: _cell(cell) for tile, cell in sorted(tiles.items())}
            for day, tiles in history.days.items()
        },
        "exceptions": [one.to_json() for one in results],
        "notes": [*plan.notes, *(f"unusable row of the catalogue: {row}" for row in plan.unusable)],
    }


def cells_now(plan: Plan, results: Iterable[RepairResult]) -> dict[str, dict[str, TileCounts]]:
    """Return the plan's counts after the repairs.

    They include inspected days without products, and days of which only files were read.
    """
    cells: dict[str, dict[str, TileCounts]] = {day.isoformat(): {} for day in plan.days}
    cells |= {day: dict(tiles) for day, tiles in plan.cells.items()}
    for one in results:
        product, state = one.finding.product, one.finding.state
        if state.needs_download and one.now == StateAfterRepair.PRESENT and product.day in cells:
            tiles = cells[product.day]
            tiles[product.tile_label] = tiles[product.tile_label].repaired(state)
    return cells


def still_missing(results: Iterable[RepairResult]) -> list[str]:
    """Return the names of products that are available but missing."""
    return [
        one.finding.product.stem
        for one in results
        if one.finding.state.needs_download and one.now == StateAfterRepair.MISSING
    ]


@dataclass(frozen=True, slots=True)
class Changes:
    """Replaced and withdrawn products of a sensing day; data derived from them is outdated.

    Attributes:
        replaced: Ids of the successors, by the id of each removed product.
        withdrawn: Ids of the products removed without a successor.
    """

    replaced: dict[str, list[str]]
    withdrawn: list[str]


def changes(results: Iterable[RepairResult]) -> dict[str, Changes]:
    """Return the changes by day; a damaged file that was downloaded again is not a change."""
    days: dict[str, Changes] = defaultdict(lambda: Changes({}, []))
    for one in results:
        product, successors = one.finding.product, one.finding.successors
        if one.now != StateAfterRepair.GONE:
            continue
        if successors:
            days[product.day].replaced[product.id] = [instead.id for instead in successors]
        else:
            days[product.day].withdrawn.append(product.id)
    return dict(days)


def _cell(counts: TileCounts) -> dict[str, Any]:
    return {
        "expected": counts.expected,
        "present": counts.present,
        "missing": counts.expected - counts.present,
        "why": [f"{state} {number}" for state, number in sorted(counts.why.items()) if number],
    }
