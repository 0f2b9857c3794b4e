"""The files of a product: from STAC, or if in doubt from its manifest.

The manifest is downloaded separately or comes from the product's zip.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from copernicus_dataspace.errors import BandError, ConfigurationError, DataSpaceError
from copernicus_dataspace.models.bands import select_files, stac_assets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copernicus_dataspace.catalogue.stac_api import Stac
    from copernicus_dataspace.download.downloader import Downloads
    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product

logger = logging.getLogger(__name__)


class Listing:
    """The files of one product; thread-safe."""

    def __init__(
        self, product: Product, downloads: Downloads, files: tuple[SafeFile, ...] = ()
    ) -> None:
        """Create the listing; nothing is requested yet.

        Args:
            product: The product.
            downloads: Downloads the manifest if it is needed.
            files: Files listed by STAC; may be incomplete or empty.
        """
        self._product = product
        self._downloads = downloads
        self._files = files
        self._is_by_stac = bool(files)
        self._second: dict[str, SafeFile] | None = None
        self._lock = threading.Lock()

    def select(self, bands: Sequence[str]) -> dict[str, tuple[SafeFile, ...]]:
        """Return the files of each band or pattern, see `bands.select_files`.

        Raises:
            BandError: The product has no file for an entry.
            DataSpaceError: The manifest is not available.
        """
        kind = self._product.product_type
        if self._is_by_stac:
            try:
                return select_files(self._files, bands, kind)
            except BandError as error:
                logger.info("%s: not in STAC: %s", self._product.stem, error)
            self._is_by_stac, self._files = False, ()
        if not self._files:
            self._files = self._downloads.manifest(self._product)
        return select_files(self._files, bands, kind)

    def learn(self, files: tuple[SafeFile, ...]) -> None:
        """Use the manifest from the product's zip."""
        self._is_by_stac, self._files = False, files

    def turn_to_manifest(self) -> bool:
        """Use the manifest instead of STAC; tell whether STAC was used and differed.

        Raises:
            DataSpaceError: The manifest is not available.
        """
        if not self._is_by_stac:
            return False
        self._is_by_stac = False
        by_stac, self._files = self._files, self._downloads.manifest(self._product)
        return not set(by_stac) <= set(self._files)

    def second_opinion(self, path: str) -> SafeFile | None:
        """Return a file as listed in the product's manifest, downloaded again once.

        None if it has no checksum for it, or is not available.
        """
        with self._lock:
            if self._second is None:
                self._second = self._fresh_manifest()
            listed = self._second.get(path)
        return listed if listed and listed.checksum else None

    def _fresh_manifest(self) -> dict[str, SafeFile]:
        try:
            files = self._downloads.manifest(self._product)
        except DataSpaceError as error:
            logger.warning("%s: the manifest is not available: %s", self._product.stem, error)
            return {}
        return {file.path: file for file in files}


def list_products(
    products: Sequence[Product], bands: Sequence[str], downloads: Downloads, stac: Stac | None
) -> dict[str, Listing]:
    """Return the listing of each product by id, with one request per product type.

    If STAC is not available or does not list a product, its manifest is used instead.
    """
    files: dict[str, tuple[SafeFile, ...]] = {}
    for kind in {product.product_type for product in products}:
        of_kind = [product for product in products if product.product_type == kind]
        files |= _by_stac(of_kind, bands, stac) if stac else {}
    return {one.id: Listing(one, downloads, files.get(one.id, ())) for one in products}


def _by_stac(
    products: Sequence[Product], bands: Sequence[str], stac: Stac
) -> dict[str, tuple[SafeFile, ...]]:
    try:
        assets = stac_assets(bands, products[0].product_type)
    except (BandError, ConfigurationError):  # raised later for each product
        return {}
    try:
        return stac.files(products, assets) if assets else {}
    except DataSpaceError as error:
        logger.warning("%s The products' own manifests are used instead.", error)
        return {}
