"""Knows one product's places in a store, and tells what of it stands there; moves nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.errors import UNREADABLE, ConfigurationError
from copernicus_dataspace.models.manifest import check_distinct
from copernicus_dataspace.stac.delivered_files import DeliveredFile, selection_of, text_of
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import archive_path, bands_dir
from copernicus_dataspace.storage.verified_file import saved_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.stac.delivered_files import Delivery
    from copernicus_dataspace.storage.layout import RunLayout
    from copernicus_dataspace.storage.store import Store
    from copernicus_dataspace.storage.verified_file import SavedFile

TRANSFERS: Final = ("files", "archive")

Selection = Mapping[str, tuple["SafeFile", ...]]
"""For each band or pattern the files it means."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What of each product is to be delivered.

    Attributes:
        bands: Band names and patterns, see `bands.select_files`.
        transfer: ``files`` fetches only these; ``archive`` fetches the whole zip.
        keep_archive: Whether the zip is kept beside the files; for ``archive`` only.
        overwrite: Whether what is there is fetched again.
        is_standing: Whether the run's DAG wants the products for good; what was asked for by its
            name, once, is never taken out again.
        is_scheduled: Whether the DAG's schedule or a backfill asked for all of the products' days.
    """

    bands: tuple[str, ...]
    transfer: str = "files"
    keep_archive: bool = False
    overwrite: bool = False
    is_standing: bool = True
    is_scheduled: bool = False

    def __post_init__(self) -> None:
        if self.transfer not in TRANSFERS:
            message = f"transfer {self.transfer!r} is unknown; write {' or '.join(TRANSFERS)}."
            raise ConfigurationError(message)
        for name in ("keep_archive", "overwrite"):
            if not isinstance(getattr(self, name), bool):
                message = f"{name} is {getattr(self, name)!r}; expected true or false, not a text."
                raise ConfigurationError(message)
        if self.keep_archive and self.transfer != "archive":
            message = "keep_archive needs transfer 'archive': with 'files' there is no zip to keep."
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What `stage` leaves for `deliver`, written last.

    Attributes:
        product_id: Whose files; another product may have the same name.
        selection: For each band the paths it stands for.
        files: The fetched members; their names are not decided yet.
    """

    product_id: str
    selection: Mapping[str, tuple[str, ...]]
    files: tuple[DeliveredFile, ...]

    @classmethod
    def read(cls, content: bytes | None) -> Self | None:
        """Return what `to_bytes` wrote; None where there is nothing, or it is damaged."""
        try:
            record = json.loads(content or b"")
            receipt = cls(
                product_id=text_of(record["product_id"]),
                selection=selection_of(record["selection"]),
                files=tuple(map(DeliveredFile.from_json, record["files"])),
            )
            check_distinct([file.path for file in receipt.files], "A receipt")
        except UNREADABLE:
            return None
        return receipt

    def to_bytes(self) -> bytes:
        """Return all facts as JSON."""
        record: dict[str, Any] = {
            "product_id": self.product_id,
            "selection": {band: list(paths) for band, paths in self.selection.items()},
            "files": [file.to_json() for file in self.files],
        }
        return json.dumps(record).encode()


@dataclass(frozen=True, slots=True)
class ProductJob:
    """One product's places in a store, for one run."""

    store: Store
    run: RunLayout
    product: Product
    wanted: DeliveryOptions

    @property
    def ingests(self) -> tuple[str, ...]:
        """Ids of the DAGs that want the product by this run: its own, or none."""
        return (self.run.dag_id,) if self.wanted.is_standing else ()

    @property
    def scheduled(self) -> tuple[str, ...]:
        """Ids of the DAGs whose schedule or backfill asked for the product's day by this run."""
        return self.ingests if self.wanted.is_scheduled else ()

    @property
    def item_path(self) -> str:
        """Path of the product's STAC item."""
        return f"{bands_dir(self.product)}/{ITEM_NAME}"

    def delivery(self) -> Delivery | None:
        """Return what the item promises; None where there is no item."""
        return delivery_of(self.store.read(self.item_path))

    def standing(self) -> set[str]:
        """Return the paths of the files that need not be fetched, by the item and their sizes.

        With `overwrite` only those that this very search has already replaced.
        """
        delivery = self.delivery()
        if delivery is None or (self.wanted.overwrite and delivery.stamp != self.run.stamp):
            return set()
        sizes = self.store.sizes(bands_dir(self.product))
        files = delivery.files.values()
        return {file.path for file in files if sizes.get(file.name) == file.size_bytes}

    def missing(self, selection: Selection) -> dict[str, SafeFile]:
        """Return the selected files that do not stand, by path."""
        standing = self.standing()
        chosen = {file.path: file for group in selection.values() for file in group}
        return {path: file for path, file in chosen.items() if path not in standing}

    def is_present(self) -> bool:
        """Tell whether all that is wanted stands, by the item and the sizes of its files."""
        delivery = self.delivery()
        return (
            delivery is not None
            and not delivery.missing(self.wanted.bands, self.standing())
            and (not self.wanted.keep_archive or self.kept_archive() is not None)
        )

    def kept_archive(self) -> str | None:
        """Return the path of the kept zip where it has the size the catalogue gives."""
        size = self.store.size(archive_path(self.product))
        right = size is not None and self.product.size_bytes in (None, size)
        return archive_path(self.product) if right else None

    def incoming(self, path: str, size_bytes: int | None = None) -> AbstractContextManager[Path]:
        """Give a local path for a file of the product to be staged; as of `Store.incoming`."""
        return self.store.incoming(self._staged_path(path), self.room_bytes(size_bytes))

    def staged(self, file: SafeFile) -> SavedFile | None:
        """Return what of a listed file is staged, read again; its digest is of the listed kind.

        None where nothing is staged, or the list gives no checksum.
        """
        path = self._staged_path(file.path)
        if file.checksum is None or self.store.size(path) is None:
            return None
        with self.store.open(path) as stream:
            return saved_of(stream, file.checksum)

    def unstage(self, path: str) -> None:
        """Remove a file of the product that was staged."""
        self.store.delete(self._staged_path(path))

    def _staged_path(self, path: str) -> str:
        return f"{self.run.safe_dir(self.product)}/{path}"

    def room_bytes(self, size_bytes: int | None) -> int:
        """Return the room a listed file needs: never more than the zip, as some sizes are bogus."""
        return min(size_bytes or 0, self.product.size_bytes or sys.maxsize)

    def receipt(self) -> Receipt | None:
        """Return the receipt of this run's download; None where there is none of this product."""
        receipt = Receipt.read(self.store.read(self.run.receipt_path(self.product)))
        return receipt if receipt and receipt.product_id == self.product.id else None
