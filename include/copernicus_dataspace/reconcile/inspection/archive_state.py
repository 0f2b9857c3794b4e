"""Finds out what an ingest should hold and what it does hold; changes nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.models.time_range import Window, spans
from copernicus_dataspace.reconcile.inspection import checksum_scan
from copernicus_dataspace.reconcile.inspection.comparison import audit
from copernicus_dataspace.reconcile.inspection.findings import ORPHANED, PRESENT, Finding, Holdings
from copernicus_dataspace.reconcile.inspection.history import Survey
from copernicus_dataspace.stac.inventory import DAMAGED, Inventory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.findings import Terms
    from copernicus_dataspace.reconcile.inspection.history import History
    from copernicus_dataspace.reconcile.inspection.product_lookup import LookupResult, ProductLookup
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store

_LONGEST_GAP: Final = timedelta(days=30)
"""Days between those of runs by hand and of repairs are held to be missing; a longer gap was never
asked for."""
_LATEST_FIRST_PUBLICATION: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which sensing days are looked at.

    Attributes:
        first: First day.
        last: Last day, included; its end is the present.
        is_whole: Whether all days up to the last that hold anything, did so by the ingest's STAC
            catalogue, or were looked at so before, are looked at, too.
        is_routine: Whether this is a turn of the rolling looks at bytes and at the whole archive.
        scrub_days: In so many days the bytes of each file are read once; 0 for never.
        reads_all: Whether the bytes of all files of these days are read now.
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
    """What was found.

    Attributes:
        findings: One for each product that should be held, or is held for the ingest.
        days: Sensing days looked at.
        answer: What the catalogue said.
        damaged: Names of files whose bytes are wrong, by product stem.
        foreign: Products that stand as wanted, and were fetched by other ingests only.
        delays_h: By day, hours from sensing to first delivery of each product.
        survey: What to remember of it, where the whole archive was looked at.
        scrubbed_bytes: How many bytes were read.
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
        store: Holds what is held.
        lookup: Says what there is.
        terms: What the ingest wants.
        history: What earlier looks have found.
        scope: Which days.

    Raises:
        DataSpaceError: The catalogue could not be asked in full.
    """
    inventory = Inventory(store)
    days, entries = _held(inventory, terms, history, scope)
    own = [entry for entry in entries if terms.ingest in entry.ingests]
    elsewhere = _turns_elsewhere(inventory, terms, history, scope, days)
    damaged, read_bytes = checksum_scan.scrub(store, [*_in_turn(own, history, scope), *elsewhere])
    answer = lookup.ask(days, [entry.product for entry in own])
    words = {stem: f"{', '.join(names)} has other bytes" for stem, names in damaged.items()}
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
    """Return the days of a scope, and what is held of them, whoever wants it."""
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
    """Return all days since the first that a schedule or a backfill has delivered.

    Days of runs by hand and of repairs are looked at too, but between them only where the gap is
    short: who asked for a day years ago, or had it mended, did not ask for all days since. Items of
    older versions do not say, and count as those.
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
    """Return what is to be read of days that are not looked at otherwise."""
    if not scope.is_routine or not scope.scrub_days or scope.is_whole:
        return []
    others = set(inventory.days(terms.product_type)) - set(days)
    turns = checksum_scan.due(others, scope.scrub_days, history.scrubbed, scope.present.date())
    entries = inventory.entries(terms.product_type, sorted(turns))
    return [entry for entry in entries if terms.ingest in entry.ingests]


def _beside(
    lookup: ProductLookup, damaged: Sequence[Entry], words: Mapping[str, str]
) -> list[Finding]:
    """Return what was found damaged of days that the catalogue was not asked for."""
    listed = lookup.still_listed([entry.product.id for entry in damaged])
    return [
        Finding(entry.product, DAMAGED, words[entry.product.stem], bands=tuple(entry.selection))
        if entry.product.id in listed
        else Finding(
            entry.product, ORPHANED, f"{words[entry.product.stem]}, and it is no longer listed"
        )
        for entry in damaged
    ]


def _zips(inventory: Inventory, terms: Terms, days: Iterable[date]) -> dict[str, int]:
    if not terms.keep_archive:
        return {}
    found = (inventory.kept_zips(terms.product_type, day) for day in days)
    return {stem: size for zips in found for stem, size in zips.items()}


def _listed_anew(findings: Iterable[Finding], entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Return all files of products whose name another product has now, by product stem."""
    held = {entry.product.stem: entry for entry in entries}
    pairs = ((one.product, held.get(one.product.stem)) for one in findings)
    return {
        product.stem: list(entry.files)
        for product, entry in pairs
        if entry and entry.has_other_content(product)
    }


def _foreign(findings: Iterable[Finding], entries: Iterable[Entry], terms: Terms) -> list[Product]:
    others = {entry.product.stem for entry in entries if terms.ingest not in entry.ingests}
    present = (finding.product for finding in findings if finding.state == PRESENT)
    return [product for product in present if product.stem in others]


def delays_h(held: Iterable[Entry]) -> dict[str, list[float]]:
    """Return hours from sensing to first delivery by day, but not of what was made much later."""
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
    """Return what to remember of a look at all days: of the newest only those that had products."""
    if not scope.is_whole:
        return None
    found = {finding.product.sensed.date() for finding in findings}
    kept = (day for day in days if day < scope.first or day in found)
    return Survey(scope.present, terms.product_type, tuple(spans(kept)))
