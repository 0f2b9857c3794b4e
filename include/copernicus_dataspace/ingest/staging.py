"""Downloads missing files of many products in parallel, verified, into the run's staging folder.

Safe to kill and run again: a file gets its name only once it is verified, and existing files are
not downloaded again.
"""

from __future__ import annotations

import functools
import logging
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.file_list import list_products
from copernicus_dataspace.download.zip_files.product_zip import open_zip
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
from copernicus_dataspace.ingest.product_job import Receipt
from copernicus_dataspace.ingest.zip_extraction import fetch_members
from copernicus_dataspace.models.bands import select_files
from copernicus_dataspace.stac.delivered_files import DeliveredFile
from copernicus_dataspace.storage.leases import Leases
from copernicus_dataspace.storage.verified_file import Expected, SavedFile

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from concurrent.futures import ThreadPoolExecutor

    from copernicus_dataspace.download.downloader import Downloads
    from copernicus_dataspace.download.file_list import Listing
    from copernicus_dataspace.ingest.product_job import ProductJob, Selection
    from copernicus_dataspace.models.manifest import SafeFile
    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.service import Service

logger = logging.getLogger(__name__)

Progress = Callable[[str, int | None], Callable[[int], None]]
"""Given a name and the total bytes (None: unknown), returns the callback for transferred bytes."""

_OF_THE_MANIFEST: Final = (
    AccessDeniedError,
    CorruptDownloadError,
    ProductUnavailableError,
    QueryError,
    RefusedRequestError,
    ServiceUnavailableError,
)
"""Errors of a separate manifest request that the zip, which includes it, may not have."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The result of staging one product.

    Attributes:
        product: The product.
        is_new: Whether anything was downloaded; if not, all wanted files existed already.
        error: Why it failed; None on success.
    """

    product: Product
    is_new: bool = False
    error: Exception | None = None


def stage(jobs: Sequence[ProductJob], service: Service, progress: Progress) -> Generator[Staged]:
    """Download the missing files of products, with as many transfers as there are connections.

    Yields each product as it completes. A failed product does not affect the others; its verified
    files are kept for the next attempt. Products that another run is downloading are skipped with
    an error. Downloaded products stay leased for a while, until they are delivered.

    Args:
        jobs: The products, in one store and for one run, with the same options.
        service: Service to download from.
        progress: Creates the progress callback of each product.
    """
    if not jobs:
        return
    leases, downloads = Leases(jobs[0].store, jobs[0].run), service.downloads
    look = functools.partial(_is_settled_or_ours, downloads, leases)
    with leases.renewed(), threads(service) as (products, files):
        missing: list[ProductJob] = []
        for job, found in each(products, look, jobs):
            if found is False:
                missing.append(job)
            else:
                yield _done(leases, job, found, is_new=False)
        if not missing:
            return
        wanted = [job.product for job in missing]
        bands = missing[0].wanted.bands
        listings = list_products(wanted, bands, downloads, service.stac)

        def fetch(job: ProductJob) -> None:
            _fetch(downloads, job, listings[job.product.id], files, progress)

        for job, outcome in each(products, fetch, missing):
            yield _done(leases, job, outcome, is_new=True)


def _done(leases: Leases, job: ProductJob, outcome: object, *, is_new: bool) -> Staged:
    if isinstance(outcome, Exception):
        leases.release(job.product)
        return Staged(job.product, error=outcome)
    leases.keep(job.product)
    return Staged(job.product, is_new)


def _is_settled_or_ours(downloads: Downloads, leases: Leases, job: ProductJob) -> bool:
    """Tell whether a product needs no download; lease it otherwise."""
    if _is_settled(downloads, job):
        return True
    leases.need(job.product)
    return _is_settled(downloads, job)  # by the run that has just released it


def _is_settled(downloads: Downloads, job: ProductJob) -> bool:
    """Tell whether a product needs no download."""
    if job.is_present():
        return True
    receipt = job.receipt()
    is_staged = receipt is not None and is_held(job, receipt)
    return is_staged or _took_from_kept_zip(downloads, job)


def _took_from_kept_zip(downloads: Downloads, job: ProductJob) -> bool:
    """Stage the wanted files from a zip kept by an earlier run; False if that fails."""
    product, store, kept = job.product, job.store, job.kept_zip()
    if not job.wanted.is_whole_zip or job.wanted.overwrite or kept is None:
        return False
    saved: dict[str, SavedFile] = {}
    try:
        with store.open(kept) as stream, open_zip(stream) as zipped:
            selection = select_files(zipped.files, job.wanted.bands, product.product_type)
            for path, file in job.missing(selection).items():
                Expected.of(file, path)
                with job.incoming(path, file.size_bytes) as local:
                    saved[path] = zipped.save(file, local)
    except (CorruptDownloadError, CorruptProductError, UnsafeContentError) as error:
        logger.warning(
            "%s: the kept zip is damaged and will be downloaded again: %s", product.stem, error
        )
        return False
    _write_receipt(downloads, job, selection, saved)
    return True


def _fetch(
    downloads: Downloads,
    job: ProductJob,
    listing: Listing,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> None:
    """Stage one product; if a file is not where STAC says, use the manifest instead."""
    job.store.sweep(job.run.product_dir(job.product))
    if job.wanted.is_whole_zip:
        _fetch_zip(downloads, job, listing, progress)
        return
    try:
        _fetch_listed(downloads, job, listing, pool, progress)
    except ProductUnavailableError:
        if not listing.turn_to_manifest():
            raise
        _fetch_listed(downloads, job, listing, pool, progress)


def _fetch_listed(
    downloads: Downloads,
    job: ProductJob,
    listing: Listing,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> None:
    selection = listing.select(job.wanted.bands)
    saved, to_fetch = _staged(job, selection, listing)
    on_bytes = progress(job.product.stem, sum(file.size_bytes or 0 for file in to_fetch.values()))
    saved |= _fetch_files(downloads, job, to_fetch, listing, pool, on_bytes)
    _write_receipt(downloads, job, selection, saved)


def _fetch_zip(downloads: Downloads, job: ProductJob, listing: Listing, progress: Progress) -> None:
    """Stage one product from its zip; with a list of files it need not be read completely."""
    saved: dict[str, SavedFile] = {}
    to_fetch: dict[str, SafeFile] | None = None
    try:
        saved, to_fetch = _staged(job, listing.select(job.wanted.bands), listing)
    except _OF_THE_MANIFEST as error:
        logger.warning("%s The manifest inside the zip is used instead.", error)
    if to_fetch != {} or job.wanted.keep_archive:
        on_bytes = progress(job.product.stem, job.product.size_bytes)
        saved |= fetch_members(job, to_fetch, listing, downloads, on_bytes)
    _write_receipt(downloads, job, listing.select(job.wanted.bands), saved)


def _staged(
    job: ProductJob, selection: Selection, listing: Listing
) -> tuple[dict[str, SavedFile], dict[str, SafeFile]]:
    """Return the missing files that earlier attempts have staged, and those to download."""
    missing = job.missing(selection)
    saved = {path: one for path, file in missing.items() if (one := _left(job, file, listing))}
    return saved, {path: file for path, file in missing.items() if path not in saved}


def _left(job: ProductJob, file: SafeFile, listing: Listing) -> SavedFile | None:
    """Return a file staged by an earlier attempt, verified again; None if it is wrong."""
    saved = job.staged(file)
    if saved is None or saved.checksum == file.checksum:
        return saved
    opinion = listing.second_opinion(file.path)
    return saved if opinion and opinion.checksum == saved.checksum else None


def _fetch_files(
    downloads: Downloads,
    job: ProductJob,
    files: Mapping[str, SafeFile],
    listing: Listing,
    pool: ThreadPoolExecutor,
    on_bytes: Callable[[int], None],
) -> dict[str, SavedFile]:
    """Download files in parallel; a corrupt file does not stop the others."""

    def fetch(file: SafeFile) -> SavedFile:
        with job.incoming(file.path, file.size_bytes) as local:
            return downloads.file(
                job.product, file, local, on_bytes, lambda: listing.second_opinion(file.path)
            )

    largest_first = sorted(files.values(), key=lambda file: file.size_bytes or 0, reverse=True)
    futures = {file.path: pool.submit(fetch, file) for file in largest_first}
    errors = [error for future in futures.values() if (error := future.exception())]
    wrong = [error for error in errors if isinstance(error, CorruptDownloadError)]
    for error in errors:
        if not isinstance(error, CorruptDownloadError):
            raise error
    if wrong:
        message = f"{len(wrong)} of {len(files)} files are corrupt: {'; '.join(map(str, wrong))}"
        raise CorruptDownloadError(message) from wrong[0]
    return {path: future.result() for path, future in futures.items()}


def _write_receipt(
    downloads: Downloads, job: ProductJob, selection: Selection, saved: Mapping[str, SavedFile]
) -> None:
    files = tuple(
        DeliveredFile(
            path,
            posixpath.basename(path),
            one.size_bytes,
            one.checksum,
            downloads.zip_url(job.product)
            if job.wanted.is_whole_zip
            else downloads.file_url(job.product, path),
        )
        for path, one in saved.items()
    )
    paths = {band: tuple(file.path for file in group) for band, group in selection.items()}
    receipt = Receipt(job.product.id, paths, files)
    job.store.write(job.run.receipt_path(job.product), receipt.to_bytes())
