"""Lists the products an archive holds, by day, from its STAC items and files.

The items are authoritative. The catalogue of a day, see `static_catalog`, caches their entries; if
it is outdated, the item is read.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import defaultdict
from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.errors import UnsafeContentError
from copernicus_dataspace.json_records import (
    Count,
    Instant,
    from_json,
    read_json,
    to_json,
)
from copernicus_dataspace.models.manifest import check_path
from copernicus_dataspace.models.product import Product  # noqa: TC001 - read by msgspec
from copernicus_dataspace.models.product_state import ProductState
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of, product_of
from copernicus_dataspace.storage.layout import (
    CATALOGS,
    bands_day_dir,
    bands_dir,
    catalog_path,
    ingest_collection,
    kept_zips_dir,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copernicus_dataspace.storage.store import FileInfo, Store

logger = logging.getLogger(__name__)

ENTRY: Final = "dataspace:entry"
"""Field of a day catalogue's link to an item: the cached entry."""

_THREADS: Final = 8
_PLACES: Final = ("year", "month", "day")


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A wanted file that is missing or wrong.

    Attributes:
        state: Missing, absent or damaged.
        why: Explanation.
    """

    state: ProductState
    why: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A product that the archive holds.

    Attributes:
        product: As its item describes it.
        ingests: Names of the ingests that want it.
        run_id: Run of the last delivery.
        selection: Names of the files of each band or pattern.
        files: Expected size in bytes according to the item, by file name.
        created: When it was first delivered; None if unknown.
        version: Version of the item's file.
        scheduled: Names of the ingests whose schedule or backfill covers the product's day.
        existing: Actual size in bytes of the existing files, by name.
    """

    product: Product
    ingests: tuple[str, ...]
    run_id: str
    selection: Mapping[str, tuple[str, ...]]
    files: Mapping[str, Count]
    created: Instant | None
    version: str
    scheduled: tuple[str, ...] = ()
    existing: Mapping[str, int] = field(default_factory=dict, compare=False)

    @classmethod
    def of_item(cls, content: bytes, version: str) -> Self | None:
        """Return the entry of an item; None if it is damaged."""
        delivery = delivery_of(content)
        if delivery is None:
            return None
        names = {path: file.name for path, file in delivery.files.items()}
        with contextlib.suppress(ValueError):
            return cls(
                product=product_of(content),
                ingests=delivery.ingests,
                run_id=delivery.run_id,
                selection={
                    band: tuple(names.get(path, path) for path in paths)
                    for band, paths in delivery.selection.items()
                },
                files={file.name: file.size_bytes for file in delivery.files.values()},
                created=delivery.created,
                version=version,
                scheduled=delivery.scheduled,
            )
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the entry, except the existing files, as JSON values."""
        values = to_json(self)
        del values["existing"]
        return dict(values)

    def has_other_content(self, listed: Product) -> bool:
        """Tell whether the held product differs from the listed one of the same name."""
        checksums = {listed.checksum, self.product.checksum}
        return self.product.id != listed.id and None not in checksums and len(checksums) > 1

    def problems(self, bands: Iterable[str]) -> tuple[FileProblem, ...]:
        """Return the missing or wrong files of the bands."""
        problems = [
            FileProblem(ProductState.MISSING, f"{band} was never delivered")
            for band in bands
            if band not in self.selection
        ]
        names = {name for band in bands for name in self.selection.get(band, ())}
        return (*problems, *filter(None, map(self._problem, sorted(names))))

    def _problem(self, name: str) -> FileProblem | None:
        promised, found = self.files.get(name), self.existing.get(name)
        if promised is None:
            return FileProblem(ProductState.DAMAGED, f"{name} is damaged")
        if found is None:
            return FileProblem(ProductState.ABSENT, f"{name} does not exist")
        if found != promised:
            return FileProblem(
                ProductState.DAMAGED, f"{name} has {found} bytes, expected {promised}"
            )
        return None


@dataclass(frozen=True, slots=True)
class _DayCatalog:
    links: list[dict[str, Any]]


class Inventory:
    """The products in a store."""

    def __init__(self, store: Store) -> None:
        """Use a store; nothing is cached in memory."""
        self._store = store

    def days(self, product_type: str) -> list[date]:
        """Return the days that have a folder, in order."""
        return self._days_below(f"bands/{product_type}")

    def catalogued(self, product_type: str, ingest: str) -> list[date]:
        """Return the days for which an ingest has a STAC catalogue, even if the items are lost."""
        return self._days_below(f"{CATALOGS}/{ingest_collection(product_type, ingest)}")

    def _days_below(self, top: str) -> list[date]:
        folders = [top]
        for _ in _PLACES:
            folders = [f"{one}/{name}" for one in folders for name in self._store.folders(one)]
        found = []
        for folder in folders:
            with contextlib.suppress(ValueError):
                year, month, number = folder.split("/")[-len(_PLACES) :]
                day = date(int(year), int(month), int(number))
                if f"{top}/{day:%Y/%m/%d}" == folder:
                    found.append(day)
        return found

    def entries(self, product_type: str, days: Iterable[date]) -> list[Entry]:
        """Return the entries of sensing days, by day and name."""
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(functools.partial(self.day, product_type), days)
            return [entry for entries in found for entry in entries]

    def day(self, product_type: str, day: date) -> list[Entry]:
        """Return the entries of a sensing day, by name."""
        folder = bands_day_dir(product_type, day)
        listed: dict[str, dict[str, FileInfo]] = defaultdict(dict)
        for path, found in self._listing(folder).items():
            stem, _, name = path.partition("/")
            listed[stem][name] = found
        items = {stem: files[ITEM_NAME] for stem, files in listed.items() if ITEM_NAME in files}
        known = _known(self._store.read(catalog_path(product_type, day))) if items else {}
        entries = []
        for stem, item in sorted(items.items()):
            entry = known.get(stem)
            if entry is None or entry.version != item.version:
                content = self._store.read(f"{folder}/{stem}/{ITEM_NAME}")
                entry = Entry.of_item(content, item.version) if content else None
            if entry is not None and bands_dir(entry.product) == f"{folder}/{stem}":
                sizes = {name: found.size_bytes for name, found in listed[stem].items()}
                entries.append(replace(entry, existing=sizes))
        return entries

    def kept_zips(self, product_type: str, day: date) -> dict[str, int]:
        """Return the size in bytes of each zip kept of a sensing day, by product stem."""
        return {
            name.removesuffix(".zip"): found.size_bytes
            for name, found in self._listing(kept_zips_dir(product_type, day)).items()
            if name.endswith(".zip")
        }

    def _listing(self, folder: str) -> dict[str, FileInfo]:
        """Return the files of a day; nothing if its folder is a link out of the output."""
        try:
            return self._store.listing(folder)
        except UnsafeContentError as error:
            logger.warning("Ignored: %s", error)
            return {}


def _known(catalog: bytes | None) -> dict[str, Entry]:
    """Return the cached entries of a day's catalogue, by stem, without damaged ones."""
    entries = {}
    with contextlib.suppress(ValueError):
        for link in read_json(catalog, _DayCatalog).links:
            with contextlib.suppress(ValueError):
                entry = from_json(link.get(ENTRY), Entry)
                for name in entry.files:
                    check_path(name, "An entry")
                entries[entry.product.stem] = entry
    return entries
