"""Download and delivery of one product: options, paths in the store, and existing files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.json_records import read_json_or, write_json
from copernicus_dataspace.models.manifest import check_distinct
from copernicus_dataspace.stac.delivered_files import DeliveredFile  # noqa: TC001 - read by msgspec
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path
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

Selection = Mapping[str, tuple["SafeFile", ...]]
"""The matching files of each band or pattern."""


class Transfer(StrEnum):
    """How the files of a product are downloaded."""

    FILES = "files"
    """Only these files."""
    ARCHIVE = "archive"
    """The whole zip."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """What to deliver of each product, and how.

    Attributes:
        bands: Band names and patterns, see `bands.select_files`.
        transfer: A value of `Transfer`.
        keep_archive: Whether the zip is kept beside the files; for ``archive`` only.
        overwrite: Whether existing files are downloaded again.
        is_permanent: Whether the run's owner wants the products permanently and manages them; what
            was requested once by product id is never removed.
        is_scheduled: Whether the products' days are those of a schedule or a backfill.
    """

    bands: tuple[str, ...]
    transfer: str = Transfer.FILES
    keep_archive: bool = False
    overwrite: bool = False
    is_permanent: bool = True
    is_scheduled: bool = False

    def __post_init__(self) -> None:
        if self.transfer not in list(Transfer):
            message = f"transfer {self.transfer!r} is unknown; write {' or '.join(Transfer)}."
            raise ConfigurationError(message)
        for name in ("keep_archive", "overwrite"):
            if not isinstance(getattr(self, name), bool):
                message = f"{name} is {getattr(self, name)!r}; expected true or false."
                raise ConfigurationError(message)
        if self.keep_archive and not self.is_whole_zip:
            message = "keep_archive needs transfer 'archive': with 'files' there is no zip to keep."
            raise ConfigurationError(message)

    @property
    def is_whole_zip(self) -> bool:
        """Whether the whole zip is downloaded."""
        return self.transfer == Transfer.ARCHIVE


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of `stage`, read by `deliver`; written last.

    Attributes:
        product_id: Id of the product; another one may have the same name.
        selection: Paths of each band.
        files: The downloaded files; their final names are not decided yet.
    """

    product_id: str
    selection: Mapping[str, tuple[str, ...]]
    files: tuple[DeliveredFile, ...]

    def __post_init__(self) -> None:
        check_distinct([file.path for file in self.files], "A receipt")

    @classmethod
    def read(cls, content: bytes | None) -> Self | None:
        """Return what `to_bytes` wrote; None if it is missing or damaged."""
        return read_json_or(content, cls, None)

    def to_bytes(self) -> bytes:
        """Return the receipt as JSON."""
        return write_json(self)


@dataclass(frozen=True, slots=True)
class ProductJob:
    """Download and delivery of one product by one run."""

    store: Store
    run: RunLayout
    product: Product
    wanted: DeliveryOptions

    @property
    def ingests(self) -> tuple[str, ...]:
        """Ingests that want the product permanently because of this run: its owner, or none."""
        return (self.run.owner,) if self.wanted.is_permanent else ()

    @property
    def scheduled(self) -> tuple[str, ...]:
        """Ingests whose schedule or backfill covers the day because of this run."""
        return self.ingests if self.wanted.is_scheduled else ()

    @property
    def item_path(self) -> str:
        """Path of the product's STAC item."""
        return f"{bands_dir(self.product)}/{ITEM_NAME}"

    def delivery(self) -> Delivery | None:
        """Return the delivery that the item describes; None if there is no item."""
        return delivery_of(self.store.read(self.item_path))

    def existing(self) -> set[str]:
        """Return the paths of files that need no download, according to the item and their sizes.

        With `overwrite` only those that this search has already replaced.
        """
        delivery = self.delivery()
        if delivery is None or (self.wanted.overwrite and delivery.stamp != self.run.stamp):
            return set()
        sizes = self.store.sizes(bands_dir(self.product))
        files = delivery.files.values()
        return {file.path for file in files if sizes.get(file.name) == file.size_bytes}

    def missing(self, selection: Selection) -> dict[str, SafeFile]:
        """Return the selected files that do not exist yet, by path."""
        existing = self.existing()
        chosen = {file.path: file for group in selection.values() for file in group}
        return {path: file for path, file in chosen.items() if path not in existing}

    def is_present(self) -> bool:
        """Tell whether all wanted files exist, according to the item and their sizes."""
        delivery = self.delivery()
        return (
            delivery is not None
            and not delivery.missing(self.wanted.bands, self.existing())
            and (not self.wanted.keep_archive or self.kept_zip() is not None)
        )

    def kept_zip(self) -> str | None:
        """Return the path of the kept zip if it has the size listed in the catalogue."""
        size = self.store.size(kept_zip_path(self.product))
        right = size is not None and self.product.size_bytes in (None, size)
        return kept_zip_path(self.product) if right else None

    def incoming(self, path: str, size_bytes: int | None = None) -> AbstractContextManager[Path]:
        """Yield a local path for a file of the product to stage; see `Store.incoming`."""
        return self.store.incoming(self._staged_path(path), self.room_bytes(size_bytes))

    def staged(self, file: SafeFile) -> SavedFile | None:
        """Return size and checksum of a staged file, in the listed algorithm.

        None if nothing is staged, or if no checksum is listed.
        """
        path = self._staged_path(file.path)
        if file.checksum is None or self.store.size(path) is None:
            return None
        with self.store.open(path) as stream:
            return saved_of(stream, file.checksum)

    def unstage(self, path: str) -> None:
        """Remove a staged file of the product."""
        self.store.delete(self._staged_path(path))

    def _staged_path(self, path: str) -> str:
        return f"{self.run.safe_dir(self.product)}/{path}"

    def room_bytes(self, size_bytes: int | None) -> int:
        """Return the space a listed file needs: at most that of the zip; some sizes are wrong."""
        return min(size_bytes or 0, self.product.size_bytes or sys.maxsize)

    def receipt(self) -> Receipt | None:
        """Return the receipt of this run's download; None if there is none of this product."""
        receipt = Receipt.read(self.store.read(self.run.receipt_path(self.product)))
        return receipt if receipt and receipt.product_id == self.product.id else None
