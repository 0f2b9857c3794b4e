"""Checks whether held products are complete: by file sizes, or by reading all bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copernicus_dataspace.errors import MissingFileError
from copernicus_dataspace.reconcile.inspection.checksum_scan import is_as_promised
from copernicus_dataspace.reconcile.inspection.comparison import product_problems
from copernicus_dataspace.reconcile.inspection.findings import Holdings
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from copernicus_dataspace.models.checksum import Checksum
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.findings import Terms
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store


class ProductCheck:
    """The entries of some products' days, as listed when this object was created."""

    def __init__(self, store: Store, terms: Terms, products: Iterable[Product]) -> None:
        """List the sensing days of the products.

        Args:
            store: The archive.
            terms: What the ingest wants.
            products: All products that will be checked.
        """
        self._store = store
        self._terms = terms
        days = sorted({product.sensed.date() for product in products})
        entries = Inventory(store).entries(terms.product_type, days)
        self._entries = {entry.product.stem: entry for entry in entries}

    def entry(self, product: Product) -> Entry | None:
        """Return the entry of a product."""
        return self._entries.get(product.stem)

    def is_whole(self, product: Product, more_bands: Sequence[str]) -> bool:
        """Tell whether a product is complete, according to its item and the file sizes."""
        entry = self.entry(product)
        if entry is None:
            return False
        zips = dict[str, int]()
        if self._terms.keep_archive:
            zips = Inventory(self._store).kept_zips(self._terms.product_type, product.sensed.date())
        return not product_problems(
            product, entry, Holdings([entry], zips), self._terms, more_bands
        )

    def wrong_files(self, product: Product) -> list[str]:
        """Read all files of a product; return the names of those with a wrong checksum.

        A kept zip is compared with the catalogue's checksum. If the item is missing or damaged, its
        name is returned.
        """
        folder = bands_dir(product)
        delivery = delivery_of(self._store.read(f"{folder}/{ITEM_NAME}"))
        if delivery is None:
            return [ITEM_NAME]
        wrong = [
            file.name
            for file in delivery.files.values()
            if not self._is_right(f"{folder}/{file.name}", file.checksum)
        ]
        path = kept_zip_path(product)
        if self._terms.keep_archive and product.checksum:
            wrong += [] if self._is_right(path, product.checksum) else [path]
        return wrong

    def _is_right(self, path: str, checksum: Checksum) -> bool:
        try:
            return is_as_promised(self._store, path, checksum)
        except MissingFileError:
            return False
