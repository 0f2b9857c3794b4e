"""Compares what should be held with what is; takes values and returns values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from copernicus_dataspace.catalogue.versions import (
    LATEST,
    acquisition,
    choose,
    is_newer,
    preference,
    successors,
)
from copernicus_dataspace.models.time_range import format_instant
from copernicus_dataspace.reconcile.inspection.findings import (
    LATE,
    OFFLINE,
    ORPHANED,
    PRESENT,
    SUPERSEDED,
    WITHDRAWN,
    Finding,
)
from copernicus_dataspace.stac.inventory import ABSENT, DAMAGED, MISSING, Lack

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from copernicus_dataspace.catalogue.search import Deletion
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.findings import Holdings, Terms
    from copernicus_dataspace.stac.inventory import Entry


def audit(
    listed: Sequence[Product],
    holdings: Holdings,
    deleted: Mapping[str, Deletion],
    terms: Terms,
) -> list[Finding]:
    """Return one finding for each product that should be held, or that is held for the ingest.

    A product is never found superseded or withdrawn because it is not listed: only a listed
    successor that is newer and online, or the list of deleted products, says so. What is held and
    listed, but left out for another, is guarded like what is expected until it is superseded.

    Args:
        listed: All that the catalogue lists for the ingest in the days in question.
        holdings: What stands of those days.
        deleted: Deleted products of those days, by id.
        terms: What is wanted.
    """
    expected, left_out = _wanted(listed, holdings, terms)
    names, held = {product.stem for product in expected}, holdings.by_stem()
    beside = _by_acquisition(expected) if terms.versions == LATEST else {}
    others = [
        (entry, _unexpected(entry, beside.get(acquisition(entry.product), ()), deleted))
        for entry in holdings.entries
        if entry.product.stem not in names
    ]
    surplus = {one.product.stem: one for entry, one in others if _is_ours(entry, one, terms)}
    for row in sorted(left_out, key=preference, reverse=True):
        if row.stem in surplus and surplus[row.stem].state != SUPERSEDED:
            del surplus[row.stem]
            expected.append(row)
    inherited: dict[str, dict[str, None]] = defaultdict(dict)
    for one in surplus.values():
        for successor in one.successors:
            inherited[successor.stem] |= dict.fromkeys(one.bands)
    findings = [
        _expected(product, held.get(product.stem), holdings, terms, inherited[product.stem])
        for product in expected
    ]
    return [*findings, *surplus.values()]


def _wanted(
    listed: Sequence[Product], holdings: Holdings, terms: Terms
) -> tuple[list[Product], list[Product]]:
    """Return what should be held, and what else is listed."""
    rows, held = {row.id: row for row in listed}, holdings.by_stem()
    standing = [_as_it_stands(row, held.get(row.stem), holdings, terms) for row in listed]
    kept, left_out = choose(standing, terms.versions)
    return [rows[one.id] for one in kept], [rows[one.product.id] for one in left_out]


def _as_it_stands(row: Product, entry: Entry | None, holdings: Holdings, terms: Terms) -> Product:
    """Return a listed product; as one that is online where it stands whole, and need not be had."""
    if row.online and row.size_bytes is not None:
        return row
    if entry is None or entry.product.id != row.id or lacking(row, entry, holdings, terms):
        return row
    return replace(row, online=True, size_bytes=row.size_bytes or entry.product.size_bytes)


def _is_ours(entry: Entry, finding: Finding, terms: Terms) -> bool:
    """Tell whether an ingest is to see to a product it does not expect.

    One whose ingests are all gone falls to whichever expects its successors. One that none wants
    was fetched by its name, and stays.
    """
    if terms.ingest in entry.ingests:
        return True
    is_left = bool(entry.ingests) and not terms.known & {*entry.ingests}
    return is_left and bool(finding.successors)


def lacking(
    product: Product,
    entry: Entry,
    holdings: Holdings,
    terms: Terms,
    more_bands: Iterable[str] = (),
) -> tuple[Lack, ...]:
    """Return what does not stand of a product of which an item does.

    What the item promises beyond the ingest's bands counts too: somebody once asked for it.
    """
    bands = dict.fromkeys((*terms.bands, *entry.selection, *more_bands))
    lacks = [*entry.lacking(bands), *_lacking_zip(product, holdings, terms)]
    if entry.has_other_content(product):
        lacks.append(Lack(DAMAGED, f"it is listed anew, as {product.id} with other content"))
    if product.stem in holdings.damaged:
        lacks.append(Lack(DAMAGED, holdings.damaged[product.stem]))
    return tuple(lacks)


def _lacking_zip(product: Product, holdings: Holdings, terms: Terms) -> list[Lack]:
    if not terms.keep_archive:
        return []
    found = holdings.zips.get(product.stem)
    if found is None:
        return [Lack(ABSENT, "its zip is not there")]
    if product.size_bytes not in (None, found):
        return [Lack(DAMAGED, f"its zip has {found} bytes, not {product.size_bytes}")]
    return []


def _expected(
    product: Product,
    entry: Entry | None,
    holdings: Holdings,
    terms: Terms,
    inherited: Iterable[str],
) -> Finding:
    bands = _more_bands((*(entry.selection if entry else ()), *inherited), terms)
    if entry is None:
        return Finding(product, *_never_held(product, terms.delay), bands=bands)
    lacks = lacking(product, entry, holdings, terms, bands)
    if not lacks:
        return Finding(product, PRESENT)
    why = "; ".join(lack.why for lack in lacks)
    if not product.online:
        return Finding(product, OFFLINE, f"offline, and {why}")
    states = {lack.state for lack in lacks}
    state = next(one for one in (DAMAGED, ABSENT, MISSING) if one in states)
    return Finding(product, state, why, bands=bands)


def _more_bands(bands: Iterable[str], terms: Terms) -> tuple[str, ...]:
    """Return all bands that are to be fetched, where those of the ingest do not do."""
    more = dict.fromkeys(band for band in bands if band not in terms.bands)
    return (*terms.bands, *more) if more else ()


def _never_held(product: Product, delay: timedelta) -> tuple[str, str]:
    if not product.online:
        return OFFLINE, "the catalogue lists it as offline"
    due = datetime.combine(product.sensed.date(), time(), UTC) + timedelta(days=1) + delay
    if product.published and product.published > due:
        return LATE, f"published {format_instant(product.published)}, after its day's run"
    return MISSING, "published in time, and not there"


def _by_acquisition(expected: Iterable[Product]) -> dict[Hashable | None, list[Product]]:
    acquisitions = defaultdict(list)
    for product in expected:
        acquisitions[acquisition(product)].append(product)
    return acquisitions


def _unexpected(
    entry: Entry, beside: Sequence[Product], deleted: Mapping[str, Deletion]
) -> Finding:
    """Return what is found of a product that is not expected; beside it are those that are."""
    product, deletion = entry.product, deleted.get(entry.product.id)
    cause = f"deleted {deletion}" if deletion else ""
    newer = [one for one in beside if is_newer(one, product)]
    instead = successors(product, [one for one in newer if one.online])
    bands = tuple(band for band in entry.selection if _is_plain(band))
    if instead:
        names = " and ".join(one.stem for one in instead)
        why = f"replaced by {names}{f'; {cause}' if cause else ''}"
        return Finding(product, SUPERSEDED, why, instead, bands)
    if deletion:
        return Finding(product, WITHDRAWN, cause, successors(product, beside), bands)
    why = "listed neither for this ingest nor among the deleted products"
    if newer:
        why = (
            "a newer version is listed, but it is offline or shows less of the ground, or their "
            "footprints cannot be compared"
        )
    return Finding(product, ORPHANED, why)


def _is_plain(band: str) -> bool:
    """Tell whether a band is a name that every product of its type has, not a pattern."""
    return not set(band) & set("*?[/")
