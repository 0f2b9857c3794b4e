"""The stored result of an inspection, kept until its repairs have finished."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.catalogue.query import sensing_day
from copernicus_dataspace.reconcile.inspection.findings import EXPECTED, PRESENT, Finding
from copernicus_dataspace.reconcile.inspection.history import Survey, cells_of, delays_of
from copernicus_dataspace.stac.delivered_files import number_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from copernicus_dataspace.reconcile.inspection.archive_state import ArchiveState, Scope

_NUMBERS: Final = ("listed", "requests", "scrubbed_bytes")


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
        cells: Expected and present products by day and tile, see `by_day_and_tile`.
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
    listed: int
    requests: int
    scrubbed_bytes: int
    notes: tuple[str, ...]
    counts: Mapping[str, int]
    cells: Mapping[str, Mapping[str, Mapping[str, Any]]]
    delays_h: Mapping[str, Sequence[float]]
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
            counts=Counter(finding.state for finding in archive_state.findings),
            cells=by_day_and_tile(archive_state.findings),
            delays_h=archive_state.delays_h,
            open=tuple(one for one in archive_state.findings if one.state != PRESENT),
            left_alone=left_alone or frozenset(),
            survey=archive_state.survey,
            unusable=tuple(map(str, archive_state.answer.unusable)),
        )

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Return the plan that `to_bytes` wrote.

        Raises:
            `errors.UNREADABLE`: It is damaged.
        """
        read = json.loads(content)
        record = {name: read[name] for name in cls.__slots__}
        survey = record["survey"]
        return cls(
            **{
                **record,
                "first": sensing_day(record["first"]),
                "last": sensing_day(record["last"]),
                "days": tuple(map(sensing_day, record["days"])),
                **{name: number_of(record[name]) for name in _NUMBERS},
                "notes": texts_of(record["notes"]),
                "counts": {state: number_of(n) for state, n in record["counts"].items()},
                "cells": cells_of(record["cells"]),
                "delays_h": delays_of(record["delays_h"]),
                "open": tuple(map(Finding.from_json, record["open"])),
                "left_alone": frozenset(texts_of(record["left_alone"])),
                "survey": Survey.from_json(survey) if survey else None,
                "unusable": texts_of(record.get("unusable", [])),
            }
        )

    def to_bytes(self) -> bytes:
        """Return the plan as JSON."""
        record = {name: getattr(self, name) for name in self.__slots__}
        changed = {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "days": [day.isoformat() for day in self.days],
            "open": [finding.to_json() for finding in self.open],
            "left_alone": sorted(self.left_alone),
            "survey": self.survey.to_json() if self.survey else None,
        }
        return json.dumps({**record, **changed}).encode()


def by_day_and_tile(findings: Iterable[Finding]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return expected and present products of each day and tile, and the states of the others."""
    days: dict[str, dict[str, dict[str, Any]]] = {}
    for finding in findings:
        if finding.state in EXPECTED:
            day = finding.product.sensed.date().isoformat()
            tile = f"T{finding.product.tile}" if finding.product.tile else "-"
            cell = days.setdefault(day, {}).setdefault(
                tile, {"expected": 0, "present": 0, "why": Counter()}
            )
            cell["expected"] += 1
            cell["present"] += finding.state == PRESENT
            if finding.state != PRESENT:
                cell["why"][finding.state] += 1
    return days
