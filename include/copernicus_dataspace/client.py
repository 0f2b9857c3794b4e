"""Search and download of Sentinel-2 products with one account: the client for Python programs."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import fsspec

from copernicus_dataspace.auth.identity_service import Account
from copernicus_dataspace.catalogue.arguments import build_query, days_window
from copernicus_dataspace.catalogue.versions import LATEST
from copernicus_dataspace.download.s3_signing import S3Keys
from copernicus_dataspace.errors import AreaError, ConfigurationError, MissingPackageError
from copernicus_dataspace.http.endpoints import Endpoints
from copernicus_dataspace.ingest.download import download, progress_bar
from copernicus_dataspace.ingest.product_job import DeliveryOptions, ProductJob
from copernicus_dataspace.service import Service
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace.storage.write_check import check_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    import pystac

    from copernicus_dataspace.catalogue.search import Products
    from copernicus_dataspace.geometry.area import Area
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import ClientOptions

_OWNER: Final = "python"
_RUN: Final = "download"
"""Always the same, so that a repeated call resumes an interrupted download."""
_LONGEST_PATH: Final = 1000
_S3_PREFIXES: Final = ("s3://", "s3a://")


class Client:
    """One account of the Copernicus Data Space; use it with ``with``, or close it.

    Nothing is sent before the first call. A search needs no valid account. The client is
    thread-safe.

    Attributes:
        service: The single services, for programs that need only one of them.
    """

    def __init__(  # noqa: PLR0913
        self,
        username: str,
        password: str,
        *,
        totp_secret: str | None = None,
        client_id: str | None = None,
        identity_url: str | None = None,
        catalogue_url: str | None = None,
        download_url: str | None = None,
        stac_url: str | None = None,
        s3_endpoint_url: str | None = None,
        s3_access_key: str | None = None,
        s3_secret_key: str | None = None,
        transport: str = "auto",
        connections: int = 4,
        options: ClientOptions | None = None,
    ) -> None:
        """Check the arguments.

        Args:
            username: The account's e-mail address.
            password: Its password.
            totp_secret: Base32 secret of its second factor, where it has one.
            client_id: OAuth client; None for the public one of the Data Space.
            identity_url: Of the identity service. As soon as one URL is given, the others are off
                unless given too, and the real service is not contacted. The URLs are trusted: the
                password is sent to this one.
            catalogue_url: Of the OData catalogue.
            download_url: Of the download service.
            stac_url: Of the STAC API.
            s3_endpoint_url: Of the object store.
            s3_access_key: For the object store; needs the secret key.
            s3_secret_key: Its secret key.
            transport: ``auto`` reads single files from the object store if there are keys, and
                falls back to the download service; ``https`` and ``s3`` allow only one of them.
            connections: Concurrent transfers; an ordinary account may have 4.
            options: For installations of many processes.

        Raises:
            ConfigurationError: An argument is malformed, or contradicts another one.
        """
        if bool(s3_access_key) != bool(s3_secret_key):
            message = "only one of s3_access_key and s3_secret_key is set; set both or neither."
            raise ConfigurationError(message)
        endpoints = Endpoints.resolve(
            identity_url=identity_url,
            catalogue_url=catalogue_url,
            download_url=download_url,
            stac_url=stac_url,
            s3_endpoint_url=s3_endpoint_url,
        )
        given = {"totp_secret": totp_secret, "client_id": client_id}
        optional = {name: value for name, value in given.items() if value}
        self.service = Service(
            endpoints,
            Account(username, password, **optional),
            connections=connections,
            transport=transport,
            s3_keys=S3Keys(s3_access_key, s3_secret_key or "") if s3_access_key else None,
            options=options,
        )

    def search(  # noqa: PLR0913
        self,
        *,
        area: str | Path | Mapping[str, Any] | Area | None = None,
        tiles: Sequence[str] = (),
        product_type: str | None = "S2MSI2A",
        max_cloud_cover: float | None = None,
        first_day: str | date | None = None,
        last_day: str | date | None = None,
        product_ids: Sequence[str] = (),
        versions: str = LATEST,
    ) -> Products:
        """Return the products that match, by start of sensing and then by name.

        Args:
            area: Where: a file (GeoJSON, GeoPackage, Shapefile, KML), GeoJSON, WKT,
                ``west,south,east,north`` in degrees, or an `Area`.
            tiles: MGRS tiles such as ``36TXL``; with an area, both must hold.
            product_type: ``S2MSI2A``, ``S2MSI1C``, or None for both.
            max_cloud_cover: Percent of the product, inclusive; None for no limit.
            first_day: First UTC sensing day, ``YYYY-MM-DD``.
            last_day: Last UTC sensing day, included. If only one of the two is given, it is both.
            product_ids: Ids or names: exactly these; the other filters are ignored.
            versions: ``latest``: only the latest product of a reprocessed acquisition; ``all``:
                each of them.

        Raises:
            QueryError: The arguments contradict each other, or the catalogue refused them.
            AreaError: The area cannot be used.
            ProductNotFoundError: One of product_ids is not listed.
            TransientError: The catalogue is not available now.
        """
        query = build_query(
            window=days_window(first_day, last_day),
            area=_area(area),
            tiles=_texts("tiles", tiles),
            product_type=product_type,
            max_cloud_cover=max_cloud_cover,
            product_ids=_texts("product_ids", product_ids),
        )
        return self.service.catalogue.search(query).of_versions(versions)

    def download(
        self,
        products: Iterable[Product],
        *,
        bands: Sequence[str],
        to: str | Path,
        transfer: str = "files",
        overwrite: bool = False,
        progress: bool = True,
    ) -> list[pystac.Item]:
        """Download files of products, each verified; return their STAC items, in the same order.

        Files are stored below ``<to>/bands/<product type>/<YYYY>/<MM>/<DD>/<product>/`` under ESA's
        own name once they are verified. Existing files are not downloaded again. The same call
        resumes an interrupted download.

        Args:
            products: From a search; duplicates are ignored.
            bands: Names such as ``SCL_20m`` or ``B04_10m``, or patterns such as ``*/MTD_TL.xml``.
            to: A folder, or any fsspec URL such as ``s3://bucket/folder``.
            transfer: ``files`` downloads only these files; ``archive`` downloads the whole zip and
                extracts them while it arrives.
            overwrite: Whether existing files are downloaded again.
            progress: Whether a progress bar is shown.

        Raises:
            DownloadError: Some products failed; the others were downloaded.
            ConfigurationError: An argument cannot be used.
            StorageRefusedError: The folder cannot be written.
            StorageUnavailableError: The folder cannot be written now.
        """
        wanted = DeliveryOptions(
            _texts("bands", bands), transfer, overwrite=overwrite, is_permanent=False
        )
        store = _store(os.fspath(to))
        run = RunLayout(_OWNER, _RUN, uuid.uuid4().hex)
        check_store(store, run.staging_dir, one_run_at_a_time=True)
        distinct = {product.id: product for product in products}.values()
        jobs = [ProductJob(store, run, product, wanted) for product in distinct]
        with progress_bar(is_shown=progress) as bar:
            return download(jobs, self.service, bar)

    def close(self) -> None:
        """End the session unless it is shared, and close all connections."""
        self.service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _area(given: str | Path | Mapping[str, Any] | Area | None) -> Area | None:
    from copernicus_dataspace.geometry.area import Area  # noqa: PLC0415 - shapely is slow to import
    from copernicus_dataspace.geometry.area_files import SUFFIXES  # noqa: PLC0415 - likewise

    if not given:
        return None
    if isinstance(given, str) and len(given) < _LONGEST_PATH:
        path = Path(given)
        if path.is_file():
            return Area.parse(path)
        if path.suffix.lower() in SUFFIXES:
            message = f"area: there is no file {path.absolute()}."
            raise AreaError(message)
    return Area.parse(given)


def _store(uri: str) -> Store:
    if uri.startswith(_S3_PREFIXES):
        MissingPackageError.check("s3fs", "s3", f"to={uri!r}")
    return Store(*fsspec.core.url_to_fs(uri))


def _texts(name: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return a tuple of strings; a single string counts as one element."""
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(text, str) for text in texts):
        message = f"{name} is {given!r}; expected a list of strings."
        raise ConfigurationError(message)
    return texts
