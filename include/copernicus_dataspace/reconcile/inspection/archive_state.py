"""Inspects an archive: what an ingest should hold and what it does hold; read-only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.models.time_range import Window, spans
from copernicus_dataspace.reconcile.inspection import checksum_scan
from copernicus_dataspace.reconcile.inspection.comparison import audit
from copernicus_dataspace.reconcile.inspection.findings import Finding, Holdings
from copernicus_dataspace.reconcile.inspection.history import Survey
from copernicus_dataspace.stac.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.findings import Terms
    from copernicus_dataspace.reconcile.inspection.history import History
    from copernicus_dataspace.reconcile.inspection.product_lookup import LookupResult, ProductLookup
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store

_LONGEST_GAP: Final = timedelta(days=30)
"""Days between those of manual runs and repairs count as requested, unless the gap is longer."""
_LATEST_FIRST_PUBLICATION: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which sensing days to inspect.

    Attributes:
        first: First day.
        last: Last day, included; its end counts as the present.
        is_whole: Whether to inspect also all earlier days that hold products, are in the ingest's
            STAC catalogue, or were inspected as part of the whole archive before.
        is_routine: Whether this run counts for the rolling checksum scan and whole inspection.
        scrub_days: Period in days in which each file is read once; 0 for never.
        reads_all: Whether to read all files of these days now.
    """

    first: date
    last: date
    is_whole: bool
    is_routine: bool
    scrub_days: int
    reads_all: bool = False

    @property
    def present(self) -> datetime:
        """The instant at which the last day ends."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """The result of an inspection.

    Attributes:
        findings: One for each product that should be held, or is held for the ingest.
        days: Inspected sensing days.
        answer: Result of the catalogue query.
        damaged: Names of files with a wrong checksum, by product stem.
        foreign: Products that are present as wanted, but delivered for other ingests only.
        delays_h: By day, hours from sensing to first delivery of each product.
        survey: To store, if the whole archive was inspected.
        scrubbed_bytes: Bytes read.
    """

    findings: list[Finding]
    days: tuple[date, ...]
    answer: LookupResult
    damaged: Mapping[str, list[str]]
    foreign: list[Product]
    delays_h: Mapping[str, list[float]]
    survey: Survey | None
    scrubbed_bytes: int


def inspect_archive(
    store: Store, lookup: ProductLookup, terms: Terms, history: History, scope: Scope
) -> ArchiveState:
    """Compare what should be held with what is.

    Args:
        store: The archive.
        lookup: Queries the catalogue.
        terms: What the ingest wants.
        history: Results of earlier inspections.
        scope: Days to inspect.

    Raises:
        DataSpaceError: The catalogue could not be queried completely.
    """
    inventory = Inventory(store)
    days, entries = _held(inventory, terms, history, scope)
    own = [entry for entry in entries if terms.ingest in entry.ingests]
    elsewhere = _turns_elsewhere(inventory, terms, history, scope, days)
    damaged, read_bytes = checksum_scan.scrub(store, [*_in_turn(own, history, scope), *elsewhere])
    answer = lookup.ask(days, [entry.product for entry in own])
    words = {stem: f"{', '.join(names)} has a wrong checksum" for stem, names in damaged.items()}
    zips = _zips(inventory, terms, days)
    findings = audit(answer.listed, Holdings(entries, zips, words), answer.deleted, terms)
    findings += _beside(lookup, [one for one in elsewhere if one.product.stem in damaged], words)
    return ArchiveState(
        findings=findings,
        days=days,
        answer=answer,
        damaged=damaged | _listed_anew(findings, entries),
        foreign=_foreign(findings, entries, terms),
        delays_h=delays_h(own),
        survey=_survey(days, findings, terms, scope),
        scrubbed_bytes=read_bytes,
    )


def _held(
    inventory: Inventory, terms: Terms, history: History, scope: Scope
) -> tuple[tuple[date, ...], list[Entry]]:
    """Return the days of a scope, and the entries of all ingests for them."""
    asked = Window.of_days(scope.first, scope.last).days
    if not scope.is_whole:
        return asked, inventory.entries(terms.product_type, asked)
    earliest = MISSION.start.date()
    held = [day for day in inventory.days(terms.product_type) if earliest <= day <= scope.last]
    entries = inventory.entries(terms.product_type, held)
    own = [entry for entry in entries if terms.ingest in entry.ingests]
    known = {
        *history.surveyed(terms.product_type),
        *inventory.catalogued(terms.product_type, terms.ingest),
    }
    before = (day for day in known if earliest <= day <= scope.last)
    days = tuple(sorted({*_whole(own, asked, terms.ingest), *before}))
    wanted = set(days)
    return days, [entry for entry in entries if entry.product.sensed.date() in wanted]


def _whole(own: Sequence[Entry], asked: Sequence[date], ingest: str) -> tuple[date, ...]:
    """Return all days since the first one delivered by a schedule or a backfill.

    Days of manual runs and repairs are included too, but the days between them only if the gap is
    short: a request for a day years ago is not one for all days since. Items of older versions do
    not say, and count as manual.
    """
    days = {entry.product.sensed.date() for entry in own}
    scheduled = [entry.product.sensed.date() for entry in own if ingest in entry.scheduled]
    since = min([*scheduled, asked[0]])
    found: list[date] = []
    for day in sorted({*days, *asked}):
        is_near = found and (found[-1] >= since or day - found[-1] <= _LONGEST_GAP)
        between = (day - found[-1]).days if is_near else 1
        found += [day - timedelta(days=n) for n in reversed(range(between))]
    return tuple(found)


def _in_turn(own: Sequence[Entry], history: History, scope: Scope) -> Sequence[Entry]:
    if scope.reads_all:
        return own
    days = {entry.product.sensed.date() for entry in own}
    turns = set(checksum_scan.due(days, scope.scrub_days, history.scrubbed, scope.present.date()))
    return [entry for entry in own if entry.product.sensed.date() in turns]


def _turns_elsewhere(
    inventory: Inventory, terms: Terms, history: History, scope: Scope, days: Sequence[date]
) -> list[Entry]:
    """Return the entries to read of days that are not inspected otherwise."""
    if not scope.is_routine or not scope.scrub_days or scope.is_whole:
        return []
    others = set(inventory.days(terms.product_type)) - set(days)
    turns = checksum_scan.due(others, scope.scrub_days, history.scrubbed, scope.present.date())
    entries = inventory.entries(terms.product_type, sorted(turns))
    return [entry for entry in entries if terms.ingest in entry.ingests]


def _beside(
    lookup: ProductLookup, damaged: Sequence[Entry], words: Mapping[str, str]
) -> list[Finding]:
    """Return findings for damaged products of days outside the catalogue query."""
    listed = lookup.still_listed([entry.product.id for entry in damaged])
    return [
        Finding(
            entry.product,
            ProductState.DAMAGED,
            words[entry.product.stem],
            bands=tuple(entry.selection),
        )
        if entry.product.id in listed
        else Finding(
            entry.product,
            ProductState.ORPHANED,
            f"{words[entry.product.stem]}, and the product is no longer listed",
        )
        for entry in damaged
    ]


def _zips(inventory: Inventory, terms: Terms, days: Iterable[date]) -> dict[str, int]:
    if not terms.keep_archive:
        return {}
    found = (inventory.kept_zips(terms.product_type, day) for day in days)
    return {stem: size for zips in found for stem, size in zips.items()}


def _listed_anew(findings: Iterable[Finding], entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Return all files of products whose name is now that of another product, by stem."""
    held = {entry.product.stem: entry for entry in entries}
    pairs = ((one.product, held.get(one.product.stem)) for one in findings)
    return {
        product.stem: list(entry.files)
        for product, entry in pairs
        if entry and entry.has_other_content(product)
    }


def _foreign(findings: Iterable[Finding], entries: Iterable[Entry], terms: Terms) -> list[Product]:
    others = {entry.product.stem for entry in entries if terms.ingest not in entry.ingests}
    present = (finding.product for finding in findings if finding.state == ProductState.PRESENT)
    return [product for product in present if product.stem in others]


def delays_h(held: Iterable[Entry]) -> dict[str, list[float]]:
    """Return hours from sensing to first delivery by day, without reprocessed products."""
    delays: dict[str, list[float]] = defaultdict(list)
    for entry in held:
        if entry.created and not _is_reprocessed(entry.product):
            delay = entry.created - entry.product.sensed
            day = entry.product.sensed.date().isoformat()
            delays[day].append(round(delay.total_seconds() / 3600, 1))
    return dict(delays)


def _is_reprocessed(product: Product) -> bool:
    published = product.published
    return published is not None and published - product.sensed > _LATEST_FIRST_PUBLICATION


def _survey(
    days: Iterable[date], findings: Iterable[Finding], terms: Terms, scope: Scope
) -> Survey | None:
    """Return the survey of a whole inspection; of the requested days only those with products."""
    if not scope.is_whole:
        return None
    found = {finding.product.sensed.date() for finding in findings}
    kept = spans(day for day in days if day < scope.first or day in found)
    windows = tuple((window.days[0], window.days[-1]) for window in kept)
    return Survey(scope.present, terms.product_type, windows)
