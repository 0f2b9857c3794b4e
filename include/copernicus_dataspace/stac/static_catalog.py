"""Writes the static STAC catalogue of a store; each file is built from those below it.

::

    catalog.json                          ─ child ─▶ each product type, ─ related ─▶ each ingest
    stac/<type>/collection.json           ─ child ─▶ years ▶ months ▶ days ─ item ─▶ items
    stac/<type>-<ingest>/collection.json  ─ child ─▶ the same, of the items that an ingest wants

So an item is found once below the root, however many ingests share it. Each file is written again
until it matches the files below it, so that the result is right even if several runs write at once.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import posixpath
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.geometry.footprint import bounds, span
from copernicus_dataspace.json_records import Count, from_json, read_json, to_json, write_json
from copernicus_dataspace.models.time_range import format_instant, parse_instant
from copernicus_dataspace.stac.inventory import ENTRY, Inventory
from copernicus_dataspace.stac.item import ITEM_NAME, STAC_VERSION
from copernicus_dataspace.storage.layout import CATALOGS, bands_dir, catalog_path, ingest_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)

_CATALOG_NAME: Final = "catalog.json"
_COLLECTION_NAME: Final = "collection.json"
_JSON: Final = "application/json"
_GEOJSON: Final = "application/geo+json"
_THREADS: Final = 8
_TRIES: Final = 10
_LICENSE: Final = {
    "rel": "license",
    "href": "https://sentinel.esa.int/documents/247904/690755/Sentinel_Data_Legal_Notice",
}
_WORLD: Final = [-180.0, -90.0, 180.0, 90.0]
_OURS: Final = {
    "type": "Catalog",
    "id": "sentinel-2",
    "description": "Sentinel-2 files from the Copernicus Data Space Ecosystem.",
}
"""Constant fields of the root, which distinguish it from foreign catalogues."""
_FOREIGN: Final = (
    "{} does not belong to this archive, or is damaged; it is never replaced. Choose another "
    "output, or a folder below it; or move the file away: the next run writes a new one."
)
_SPAN: Final = "dataspace:span"
"""Field of a catalogue: number of items, bounding box, first and last sensing time."""


@dataclass(frozen=True, slots=True)
class _Span:
    items: Count
    bbox: tuple[float, float, float, float]
    first: str
    last: str

    def __post_init__(self) -> None:
        for text in (self.first, self.last):
            parse_instant(text)


def refresh(store: Store, product_type: str, days: Iterable[date]) -> None:
    """Update the catalogue for some sensing days.

    Raises:
        StorageRefusedError: The store cannot be written (or another storage error).
    """
    sensed = sorted(set(days))
    existing = {name for name in store.folders(CATALOGS) if name.startswith(f"{product_type}-")}
    with ThreadPoolExecutor(_THREADS) as pool:
        refresh_day = functools.partial(_refresh_day, store, product_type, existing)
        collections = {product_type}.union(*pool.map(refresh_day, sensed))
    for collection in sorted(collections):
        _refresh_levels(store, collection, sensed)
    if is_foreign(store):
        logger.error("%s", _FOREIGN.format(store.uri(_CATALOG_NAME)))
        return
    _settle(store, functools.partial(_root, store))


def refresh_all(store: Store, products: Iterable[Product]) -> None:
    """Update the catalogue for the days of some products, see `refresh`."""
    days = defaultdict(set)
    for product in products:
        days[product.product_type].add(product.sensed.date())
    for product_type, sensed in days.items():
        refresh(store, product_type, sensed)


def refuse_foreign(store: Store) -> None:
    """Refuse a store whose root has a foreign ``catalog.json``.

    Raises:
        ConfigurationError: Names the file, which is never replaced.
    """
    if is_foreign(store):
        raise ConfigurationError(_FOREIGN.format(store.uri(_CATALOG_NAME)))


def is_foreign(store: Store) -> bool:
    """Tell whether the root has a ``catalog.json`` that was not written by us, or is damaged."""
    content = store.read(_CATALOG_NAME)
    if content is None and not store.is_taken(_CATALOG_NAME):
        return False
    try:
        document = read_json(content or store.read(_CATALOG_NAME), dict[str, Any])
    except ValueError:
        return True
    return any(document.get(name) != text for name, text in _OURS.items())


def _refresh_day(store: Store, product_type: str, existing: set[str], day: date) -> set[str]:
    """Update a day in the collections that exist or want its items; return all of these."""
    inventory = Inventory(store)
    collections = {product_type, *existing}

    def build() -> dict[str, bytes | None]:
        entries = inventory.day(product_type, day)
        collections.update(*map(_collections, entries))
        return {
            catalog_path(collection, day): _day_catalog(
                collection, day, [entry for entry in entries if collection in _collections(entry)]
            )
            for collection in collections
        }

    _settle(store, build)
    return collections


def _collections(entry: Entry) -> set[str]:
    """Return the collections of an item: its product type, and the ingests that want it."""
    product_type = entry.product.product_type
    return {product_type, *(ingest_collection(product_type, one) for one in entry.ingests)}


def _refresh_levels(store: Store, collection: str, days: Sequence[date]) -> None:
    """Update a collection and the catalogues of its months and years."""
    top = f"{CATALOGS}/{collection}"
    for form in ("%Y/%m", "%Y"):
        for folder in sorted({f"{top}/{day.strftime(form)}" for day in days}):
            _settle(store, functools.partial(_level, store, folder))
    _settle(store, functools.partial(_collection, store, collection))


def _settle(store: Store, build: Callable[[], Mapping[str, bytes | None]]) -> None:
    """Write files, by path, until their content is up to date; remove those without content."""
    for _ in range(_TRIES):
        built = build().items()
        outdated = {path: content for path, content in built if store.read(path) != content}
        if not outdated:
            return
        for path, content in outdated.items():
            if content is None:
                store.delete(path)
            else:
                store.write(path, content)
    logger.warning(
        "%s: being written by other runs; the next run will update it.", ", ".join(outdated)
    )


def _day_catalog(collection: str, day: date, entries: Sequence[Entry]) -> bytes | None:
    """Return a day's catalogue; that of the product type is also the cache of the inventory."""
    if not entries:
        return None
    folder = posixpath.dirname(catalog_path(collection, day))
    links = [
        {
            "rel": "item",
            "href": f"{_up(folder)}{bands_dir(entry.product)}/{ITEM_NAME}",
            "type": _GEOJSON,
            **({ENTRY: entry.to_json()} if collection == entry.product.product_type else {}),
        }
        for entry in entries
    ]
    return _catalog(folder, links, [_span(entry) for entry in entries])


def _level(store: Store, folder: str) -> dict[str, bytes | None]:
    """Return the catalogue of a month or year, by path; None if it is empty."""
    links, spans = _children(store, folder)
    return {f"{folder}/{_CATALOG_NAME}": _catalog(folder, links, spans) if spans else None}


def _collection(store: Store, name: str) -> dict[str, bytes | None]:
    top = f"{CATALOGS}/{name}"
    path, (links, spans) = f"{top}/{_COLLECTION_NAME}", _children(store, top)
    if not spans:
        return {path: None}
    span = _sum(spans)
    document = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": name,
        "description": f"Verified files of Sentinel-2 products: {name}.",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [span["bbox"]]},
            "temporal": {"interval": [[span["first"], span["last"]]]},
        },
        _SPAN: span,
        "links": [*_upwards(top), _LICENSE, *links],
    }
    return {path: write_json(document, indent=1)}


def _root(store: Store) -> dict[str, bytes]:
    links = [
        _link(
            "related" if "-" in name else "child", f"./{CATALOGS}/{name}/{_COLLECTION_NAME}", name
        )
        for name in store.folders(CATALOGS)
        if store.size(f"{CATALOGS}/{name}/{_COLLECTION_NAME}") is not None
    ]
    document = {
        **_OURS,
        "stac_version": STAC_VERSION,
        "links": [_link("root", f"./{_CATALOG_NAME}"), *links],
    }
    return {_CATALOG_NAME: write_json(document, indent=1)}


def _children(store: Store, folder: str) -> tuple[list[dict[str, str]], list[Mapping[str, Any]]]:
    """Return links to the catalogues one level below a folder, and their spans."""
    links: list[dict[str, str]] = []
    spans: list[Mapping[str, Any]] = []
    for name in store.folders(folder):
        with contextlib.suppress(ValueError):
            content = read_json(store.read(f"{folder}/{name}/{_CATALOG_NAME}"), dict[str, Any])
            spans.append(to_json(from_json(content.get(_SPAN), _Span)))
            links.append(_link("child", f"./{name}/{_CATALOG_NAME}", name))
    return links, spans


def _catalog(
    folder: str, links: Sequence[Mapping[str, Any]], spans: Sequence[Mapping[str, Any]]
) -> bytes:
    name = folder.removeprefix(f"{CATALOGS}/").replace("/", "-")
    document = {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": name,
        "description": f"Sentinel-2 products, {name}.",
        _SPAN: _sum(spans),
        "links": [*_upwards(folder), *links],
    }
    return write_json(document, indent=1)


def _span(entry: Entry) -> dict[str, Any]:
    sensed = format_instant(entry.product.sensed)
    box = list(bounds(entry.product.footprint) or _WORLD)
    return {"items": 1, "bbox": box, "first": sensed, "last": sensed}


def _sum(spans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    wests, souths, easts, norths = zip(*(one["bbox"] for one in spans), strict=True)
    sides = list(zip(wests, easts, strict=True))
    crosses = any(west > east for west, east in sides)
    west, east = span(sides) if crosses else (min(wests), max(easts))
    return {
        "items": sum(one["items"] for one in spans),
        "bbox": [west, min(souths), east, max(norths)],
        "first": min(one["first"] for one in spans),
        "last": max(one["last"] for one in spans),
    }


def _upwards(folder: str) -> list[dict[str, str]]:
    root, depth = f"{_up(folder)}{_CATALOG_NAME}", folder.count("/")
    parent = {1: root, 2: f"../{_COLLECTION_NAME}"}.get(depth, f"../{_CATALOG_NAME}")
    return [_link("root", root), _link("parent", parent)]


def _up(folder: str) -> str:
    """Return the relative path from a folder to the root."""
    return "../" * (folder.count("/") + 1)


def _link(rel: str, href: str, title: str | None = None) -> dict[str, str]:
    return {"rel": rel, "href": href, "type": _JSON, **({"title": title} if title else {})}
