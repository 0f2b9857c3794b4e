"""The stored result of an inspection, kept until its repairs have finished."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from dataclasses import dataclass
from datetime import date  # noqa: TC003
from typing import TYPE_CHECKING, Self

from copernicus_dataspace.catalogue.query import sensing_day
from copernicus_dataspace.json_records import Count, read_json, write_json
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.reconcile.inspection.findings import Finding  # noqa: TC001
from copernicus_dataspace.reconcile.inspection.history import (
    Days,
    DelaysH,
    Survey,
    TileCounts,
    check_days,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copernicus_dataspace.reconcile.inspection.archive_state import ArchiveState, Scope


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of an inspection, without the products that are present.

    Attributes:
        is_dry: Whether nothing may be changed.
        is_routine: As in the scope.
        first: First requested sensing day.
        last: Last requested sensing day, included.
        days: All inspected days.
        listed: Number of products the catalogue listed.
        requests: Number of requests.
        scrubbed_bytes: Bytes read from files.
        notes: What could not be inspected.
        counts: Findings by state.
        cells: Counts of the expected products, see `by_day_and_tile`.
        delays_h: By day, hours from sensing to first delivery of each product.
        open: Findings other than present ones.
        left_alone: Stems of damaged products that were leased by another run.
        survey: To store, if the whole archive was inspected.
        unusable: Unusable rows of the catalogue, as text.
    """

    is_dry: bool
    is_routine: bool
    first: date
    last: date
    days: tuple[date, ...]
    listed: Count
    requests: Count
    scrubbed_bytes: Count
    notes: tuple[str, ...]
    counts: Mapping[str, Count]
    cells: Days
    delays_h: DelaysH
    open: tuple[Finding, ...]
    left_alone: frozenset[str]
    survey: Survey | None
    unusable: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        archive_state: ArchiveState,
        scope: Scope,
        requests: int,
        left_alone: frozenset[str] | None,
    ) -> Self:
        """Return the plan of an inspection; a dry run if `left_alone` is None."""
        return cls(
            is_dry=left_alone is None,
            is_routine=scope.is_routine,
            first=scope.first,
            last=scope.last,
            days=archive_state.days,
            listed=len(archive_state.answer.listed),
            requests=requests,
            scrubbed_bytes=archive_state.scrubbed_bytes,
            notes=archive_state.answer.notes,
            counts=Counter(str(finding.state) for finding in archive_state.findings),
            cells=by_day_and_tile(archive_state.findings),
            delays_h=archive_state.delays_h,
            open=tuple(one for one in archive_state.findings if one.state != ProductState.PRESENT),
            left_alone=left_alone or frozenset(),
            survey=archive_state.survey,
            unusable=tuple(map(str, archive_state.answer.unusable)),
        )

    @classmethod
    def read(cls, content: bytes | None) -> Self:
        """Return the plan that `to_bytes` wrote.

        Raises:
            ValueError: It is missing or damaged.
        """
        plan = read_json(content, cls)
        for day in (plan.first, plan.last, *plan.days):
            sensing_day(f"{day}")
        check_days(plan.cells)
        check_days(plan.delays_h)
        return plan

    def to_bytes(self) -> bytes:
        """Return the plan as JSON."""
        return write_json(self)


def by_day_and_tile(findings: Iterable[Finding]) -> dict[str, dict[str, TileCounts]]:
    """Return the counts of the expected products by day and tile."""
    states: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for finding in findings:
        if finding.state.is_expected:
            states[finding.product.day][finding.product.tile_label][str(finding.state)] += 1
    return {
        day: {
            tile: TileCounts(counted.total(), counted.pop(str(ProductState.PRESENT), 0), counted)
            for tile, counted in tiles.items()
        }
        for day, tiles in states.items()
    }
