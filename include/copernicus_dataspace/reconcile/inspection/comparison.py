"""Compares the expected products with the held ones."""

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
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.models.time_range import format_instant
from copernicus_dataspace.reconcile.inspection.findings import Finding
from copernicus_dataspace.stac.inventory import FileProblem

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

    A product is never superseded or withdrawn only because it is not listed: that needs a listed,
    newer successor that is online, or an entry in the list of deleted products. Held products that
    are listed but left out in favour of others are treated as expected until they are superseded.

    Args:
        listed: All products the catalogue lists for the ingest on these days.
        holdings: What is held of those days.
        deleted: Deleted products of those days, by id.
        terms: What the ingest wants.
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
        if row.stem in surplus and surplus[row.stem].state != ProductState.SUPERSEDED:
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
    """Return the listed products that should be held, and the others."""
    rows, held = {row.id: row for row in listed}, holdings.by_stem()
    effective = [_as_it_stands(row, held.get(row.stem), holdings, terms) for row in listed]
    kept, left_out = choose(effective, terms.versions)
    return [rows[one.id] for one in kept], [rows[one.product.id] for one in left_out]


def _as_it_stands(row: Product, entry: Entry | None, holdings: Holdings, terms: Terms) -> Product:
    """Return a listed product, marked as online if it is held completely."""
    if row.online and row.size_bytes is not None:
        return row
    if entry is None or entry.product.id != row.id or product_problems(row, entry, holdings, terms):
        return row
    return replace(row, online=True, size_bytes=row.size_bytes or entry.product.size_bytes)


def _is_ours(entry: Entry, finding: Finding, terms: Terms) -> bool:
    """Tell whether an ingest manages a product it does not expect.

    If all ingests of a product were removed, the one that expects its successors manages it. A
    product without ingests was requested by id and is kept.
    """
    if terms.ingest in entry.ingests:
        return True
    is_left = bool(entry.ingests) and not terms.known & {*entry.ingests}
    return is_left and bool(finding.successors)


def product_problems(
    product: Product,
    entry: Entry,
    holdings: Holdings,
    terms: Terms,
    more_bands: Iterable[str] = (),
) -> tuple[FileProblem, ...]:
    """Return what is missing or wrong of a product that has an item.

    Bands of the item beyond the ingest's own count too: they were requested once.
    """
    bands = dict.fromkeys((*terms.bands, *entry.selection, *more_bands))
    problems = [*entry.problems(bands), *_zip_problems(product, holdings, terms)]
    if entry.has_other_content(product):
        problems.append(
            FileProblem(
                ProductState.DAMAGED, f"it is now listed as {product.id} with other content"
            )
        )
    if product.stem in holdings.damaged:
        problems.append(FileProblem(ProductState.DAMAGED, holdings.damaged[product.stem]))
    return tuple(problems)


def _zip_problems(product: Product, holdings: Holdings, terms: Terms) -> list[FileProblem]:
    if not terms.keep_archive:
        return []
    found = holdings.zips.get(product.stem)
    if found is None:
        return [FileProblem(ProductState.ABSENT, "its zip does not exist")]
    if product.size_bytes not in (None, found):
        return [
            FileProblem(
                ProductState.DAMAGED, f"its zip has {found} bytes, expected {product.size_bytes}"
            )
        ]
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
    problems = product_problems(product, entry, holdings, terms, bands)
    if not problems:
        return Finding(product, ProductState.PRESENT)
    why = "; ".join(one.why for one in problems)
    if not product.online:
        return Finding(product, ProductState.OFFLINE, f"offline, and {why}")
    states = {one.state for one in problems}
    worst_first = ProductState.DAMAGED, ProductState.ABSENT, ProductState.MISSING
    state = next(one for one in worst_first if one in states)
    return Finding(product, state, why, bands=bands)


def _more_bands(bands: Iterable[str], terms: Terms) -> tuple[str, ...]:
    """Return all bands to download if they are more than those of the ingest, else none."""
    more = dict.fromkeys(band for band in bands if band not in terms.bands)
    return (*terms.bands, *more) if more else ()


def _never_held(product: Product, delay: timedelta) -> tuple[ProductState, str]:
    if not product.online:
        return ProductState.OFFLINE, "offline in the catalogue"
    due = datetime.combine(product.sensed.date(), time(), UTC) + timedelta(days=1) + delay
    if product.published and product.published > due:
        return (
            ProductState.LATE,
            f"published {format_instant(product.published)}, after its day's run",
        )
    return ProductState.MISSING, "published in time, but not in the archive"


def _by_acquisition(expected: Iterable[Product]) -> dict[Hashable | None, list[Product]]:
    acquisitions = defaultdict(list)
    for product in expected:
        acquisitions[acquisition(product)].append(product)
    return acquisitions


def _unexpected(
    entry: Entry, beside: Sequence[Product], deleted: Mapping[str, Deletion]
) -> Finding:
    """Return the finding for a held product that is not expected."""
    product, deletion = entry.product, deleted.get(entry.product.id)
    cause = f"deleted {deletion}" if deletion else ""
    newer = [one for one in beside if is_newer(one, product)]
    instead = successors(product, [one for one in newer if one.online])
    bands = tuple(band for band in entry.selection if _is_plain(band))
    if instead:
        names = " and ".join(one.stem for one in instead)
        why = f"replaced by {names}{f'; {cause}' if cause else ''}"
        return Finding(product, ProductState.SUPERSEDED, why, instead, bands)
    if deletion:
        return Finding(product, ProductState.WITHDRAWN, cause, successors(product, beside), bands)
    why = "neither listed for this ingest nor in the list of deleted products"
    if newer:
        why = (
            "a newer version is listed, but it is offline or covers a smaller area, or their "
            "footprints cannot be compared"
        )
    return Finding(product, ProductState.ORPHANED, why)


def _is_plain(band: str) -> bool:
    """Tell whether a band is a name, not a pattern."""
    return not set(band) & set("*?[/")
