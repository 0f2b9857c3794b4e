"""Fetches what is missing of many products at once, verified, into the run's staging folder.

May be killed at any line and run again: a file stands under its name only once it is verified, and
what stands is not fetched again.
"""

from __future__ import annotations

import functools
import logging
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.file_list import list_products
from copernicus_dataspace.download.zip_files.product_zip import open_archive
from copernicus_dataspace.errors import (
    AccessDeniedError,
    CorruptDownloadError,
    CorruptProductError,
    ProductUnavailableError,
    QueryError,
    RefusedRequestError,
    ServiceUnavailableError,
    UnsafeContentError,
)
from copernicus_dataspace.ingest.delivery import is_held
from copernicus_dataspace.ingest.parallel import each, threads
from copernicus_dataspace.ingest.product_folder import Receipt
from copernicus_dataspace.ingest.zip_extraction import fetch_members
from copernicus_dataspace.models.bands import select_files
from copernicus_dataspace.stac.delivered_files import DeliveredFile
from copernicus_dataspace.storage.leases import Claims
from copernicus_dataspace.storage.verified_file import Expected, Saved

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from copernicus_dataspace.download.downloader import Downloads
    from copernicus_dataspace.download.file_list import Listing
    from copernicus_dataspace.ingest.product_folder import Selection, Shelf
    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import Service

logger = logging.getLogger(__name__)

Progress = Callable[[str, int | None], Callable[[int], None]]
"""Given a name and the bytes to come (None: unknown), returns what is told of each piece."""

_OF_THE_MANIFEST: Final = (
    AccessDeniedError,
    CorruptDownloadError,
    ProductUnavailableError,
    QueryError,
    RefusedRequestError,
    ServiceUnavailableError,
)
"""Errors of a manifest asked for by itself that the zip, which holds it too, may not have."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What became of one product.

    Attributes:
        product: Which.
        is_new: Whether anything was fetched; if not, all that is wanted is there already.
        error: Why it failed; None where all is there.
    """

    product: Product
    is_new: bool = False
    error: Exception | None = None


def stage(shelves: Sequence[Shelf], service: Service, progress: Progress) -> Generator[Staged]:
    """Fetch what is missing of products, as many files at once as there are connections.

    Yields each product as it is done. One that fails leaves the others alone; what was verified of
    it is kept for the next try. What another run is just fetching is left to it. What was fetched
    stays claimed, for a while, until it is delivered.

    Args:
        shelves: The products' places, in one store and for one run; all want the same.
        service: Where the bytes come from.
        progress: Makes the listener of each product's transfer.
    """
    if not shelves:
        return
    claims, downloads = Claims(shelves[0].store, shelves[0].run), service.downloads
    look = functools.partial(_is_settled_or_ours, downloads, claims)
    with claims.renewed(), threads(service) as (products, files):
        missing: list[Shelf] = []
        for shelf, found in each(products, look, shelves):
            if found is False:
                missing.append(shelf)
            else:
                yield _done(claims, shelf, found, is_new=False)
        if not missing:
            return
        wanted = [shelf.product for shelf in missing]
        bands = missing[0].wanted.bands
        listings = list_products(wanted, bands, downloads, service.stac)

        def fetch(shelf: Shelf) -> None:
            _fetch(downloads, shelf, listings[shelf.product.id], files, progress)

        for shelf, outcome in each(products, fetch, missing):
            yield _done(claims, shelf, outcome, is_new=True)


def _done(claims: Claims, shelf: Shelf, outcome: object, *, is_new: bool) -> Staged:
    if isinstance(outcome, Exception):
        claims.release(shelf.product)
        return Staged(shelf.product, error=outcome)
    claims.keep(shelf.product)
    return Staged(shelf.product, is_new)


def _is_settled_or_ours(downloads: Downloads, claims: Claims, shelf: Shelf) -> bool:
    """Tell whether nothing need be fetched of a product; claim it where that is not so."""
    if _is_settled(downloads, shelf):
        return True
    claims.need(shelf.product)
    return _is_settled(downloads, shelf)  # by the run that has just released it


def _is_settled(downloads: Downloads, shelf: Shelf) -> bool:
    """Tell whether nothing need be fetched of a product."""
    if shelf.is_present():
        return True
    receipt = shelf.receipt()
    is_staged = receipt is not None and is_held(shelf, receipt)
    return is_staged or _took_from_kept_zip(downloads, shelf)


def _took_from_kept_zip(downloads: Downloads, shelf: Shelf) -> bool:
    """Stage what is wanted out of a zip that an earlier run has kept; False where that fails."""
    product, store, kept = shelf.product, shelf.store, shelf.kept_archive()
    if shelf.wanted.transfer != "archive" or shelf.wanted.overwrite or kept is None:
        return False
    saved: dict[str, Saved] = {}
    try:
        with store.open(kept) as stream, open_archive(stream) as zipped:
            selection = select_files(zipped.files, shelf.wanted.bands, product.product_type)
            for path, file in shelf.missing(selection).items():
                Expected.of(file, path)
                with shelf.incoming(path, file.size_bytes) as local:
                    saved[path] = zipped.save(file, local)
    except (CorruptDownloadError, CorruptProductError, UnsafeContentError) as error:
        logger.warning("%s: the kept zip is damaged and fetched again: %s", product.stem, error)
        return False
    _write_receipt(downloads, shelf, selection, saved)
    return True


def _fetch(
    downloads: Downloads,
    shelf: Shelf,
    listing: Listing,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> None:
    """Stage one product; a file that is not where STAC says is looked for in the manifest."""
    shelf.store.sweep(shelf.run.product_dir(shelf.product))
    if shelf.wanted.transfer == "archive":
        _fetch_archive(downloads, shelf, listing, progress)
        return
    try:
        _fetch_listed(downloads, shelf, listing, pool, progress)
    except ProductUnavailableError:
        if not listing.turn_to_manifest():
            raise
        _fetch_listed(downloads, shelf, listing, pool, progress)


def _fetch_listed(
    downloads: Downloads,
    shelf: Shelf,
    listing: Listing,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> None:
    selection = listing.select(shelf.wanted.bands)
    saved, to_fetch = _staged(shelf, selection, listing)
    told = progress(shelf.product.stem, sum(file.size_bytes or 0 for file in to_fetch.values()))
    saved |= _fetch_files(downloads, shelf, to_fetch, listing, pool, told)
    _write_receipt(downloads, shelf, selection, saved)


def _fetch_archive(
    downloads: Downloads, shelf: Shelf, listing: Listing, progress: Progress
) -> None:
    """Stage one product out of its zip; a list of files only spares the reading of all of it."""
    saved: dict[str, Saved] = {}
    to_fetch: dict[str, SafeFile] | None = None
    try:
        saved, to_fetch = _staged(shelf, listing.select(shelf.wanted.bands), listing)
    except _OF_THE_MANIFEST as error:
        logger.warning("%s The manifest inside the zip is used instead.", error)
    if to_fetch != {} or shelf.wanted.keep_archive:
        told = progress(shelf.product.stem, shelf.product.size_bytes)
        saved |= fetch_members(shelf, to_fetch, listing, downloads, told)
    _write_receipt(downloads, shelf, listing.select(shelf.wanted.bands), saved)


def _staged(
    shelf: Shelf, selection: Selection, listing: Listing
) -> tuple[dict[str, Saved], dict[str, SafeFile]]:
    """Return what earlier tries have left of the missing files, and what is to be fetched."""
    missing = shelf.missing(selection)
    saved = {path: one for path, file in missing.items() if (one := _left(shelf, file, listing))}
    return saved, {path: file for path, file in missing.items() if path not in saved}


def _left(shelf: Shelf, file: SafeFile, listing: Listing) -> Saved | None:
    """Return what an earlier try has left of a file, verified again; None where it is not right."""
    saved = shelf.staged(file)
    if saved is None or saved.checksum == file.checksum:
        return saved
    opinion = listing.second_opinion(file.path)
    return saved if opinion and opinion.checksum == saved.checksum else None


def _fetch_files(
    downloads: Downloads,
    shelf: Shelf,
    files: Mapping[str, SafeFile],
    listing: Listing,
    pool: ThreadPoolExecutor,
    told: Callable[[int], None],
) -> dict[str, Saved]:
    """Fetch files side by side; one that arrives wrong does not keep the others away."""

    def fetch(file: SafeFile) -> Saved:
        with shelf.incoming(file.path, file.size_bytes) as local:
            return downloads.file(
                shelf.product, file, local, told, lambda: listing.second_opinion(file.path)
            )

    largest_first = sorted(files.values(), key=lambda file: file.size_bytes or 0, reverse=True)
    futures = {file.path: pool.submit(fetch, file) for file in largest_first}
    errors = [error for future in futures.values() if (error := future.exception())]
    wrong = [error for error in errors if isinstance(error, CorruptDownloadError)]
    for error in errors:
        if not isinstance(error, CorruptDownloadError):
            raise error
    if wrong:
        message = f"{len(wrong)} of {len(files)} files are wrong: {'; '.join(map(str, wrong))}"
        raise CorruptDownloadError(message) from wrong[0]
    return {path: future.result() for path, future in futures.items()}


def _write_receipt(
    downloads: Downloads, shelf: Shelf, selection: Selection, saved: Mapping[str, Saved]
) -> None:
    files = tuple(
        DeliveredFile(
            path,
            posixpath.basename(path),
            one.size_bytes,
            one.checksum,
            downloads.archive_url(shelf.product)
            if shelf.wanted.transfer == "archive"
            else downloads.file_url(shelf.product, path),
        )
        for path, one in saved.items()
    )
    paths = {band: tuple(file.path for file in group) for band, group in selection.items()}
    receipt = Receipt(shelf.product.id, paths, files)
    shelf.store.write(shelf.run.receipt_path(shelf.product), receipt.to_bytes())
