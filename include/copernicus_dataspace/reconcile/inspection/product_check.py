"""Tells whether products of some days stand as they should: by sizes, or by reading every byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copernicus_dataspace.errors import MissingFileError
from copernicus_dataspace.reconcile.inspection.checksum_scan import is_as_promised
from copernicus_dataspace.reconcile.inspection.comparison import lacking
from copernicus_dataspace.reconcile.inspection.findings import Holdings
from copernicus_dataspace.stac.inventory import Inventory
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import archive_path, bands_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from copernicus_dataspace.models.checksum import Checksum
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.reconcile.inspection.findings import Terms
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store


class ProductCheck:
    """What stood of some products' days when this was made."""

    def __init__(self, store: Store, terms: Terms, products: Iterable[Product]) -> None:
        """List the sensing days of the products.

        Args:
            store: Holds what is held.
            terms: What the ingest wants of each product.
            products: All that will be asked for.
        """
        self._store = store
        self._terms = terms
        days = sorted({product.sensed.date() for product in products})
        entries = Inventory(store).entries(terms.product_type, days)
        self._entries = {entry.product.stem: entry for entry in entries}

    def entry(self, product: Product) -> Entry | None:
        """Return what is held of a product."""
        return self._entries.get(product.stem)

    def is_whole(self, product: Product, more_bands: Sequence[str]) -> bool:
        """Tell whether all that is wanted of a product stands, by its item and by sizes."""
        entry = self.entry(product)
        if entry is None:
            return False
        zips = dict[str, int]()
        if self._terms.keep_archive:
            zips = Inventory(self._store).kept_zips(self._terms.product_type, product.sensed.date())
        return not lacking(product, entry, Holdings([entry], zips), self._terms, more_bands)

    def wrong_files(self, product: Product) -> list[str]:
        """Return the names of a product's files whose bytes are not what its item says, read now.

        A zip that is kept is compared with the catalogue's checksum of the product. The item itself
        is named where it is gone or damaged.
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
        path = archive_path(product)
        if self._terms.keep_archive and product.checksum:
            wrong += [] if self._is_right(path, product.checksum) else [path]
        return wrong

    def _is_right(self, path: str, checksum: Checksum) -> bool:
        try:
            return is_as_promised(self._store, path, checksum)
        except MissingFileError:
            return False
