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


def stage(jobs: Sequence[ProductJob], service: Service, progress: Progress) -> Generator[Staged]:
    """Fetch what is missing of products, as many files at once as there are connections.

    Yields each product as it is done. One that fails leaves the others alone; what was verified of
    it is kept for the next try. What another run is just fetching is left to it. What was fetched
    stays leased, for a while, until it is delivered.

    Args:
        jobs: The products' places, in one store and for one run; all want the same.
        service: Where the bytes come from.
        progress: Makes the listener of each product's transfer.
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
    """Tell whether nothing need be fetched of a product; lease it where that is not so."""
    if _is_settled(downloads, job):
        return True
    leases.need(job.product)
    return _is_settled(downloads, job)  # by the run that has just released it


def _is_settled(downloads: Downloads, job: ProductJob) -> bool:
    """Tell whether nothing need be fetched of a product."""
    if job.is_present():
        return True
    receipt = job.receipt()
    is_staged = receipt is not None and is_held(job, receipt)
    return is_staged or _took_from_kept_zip(downloads, job)


def _took_from_kept_zip(downloads: Downloads, job: ProductJob) -> bool:
    """Stage what is wanted out of a zip that an earlier run has kept; False where that fails."""
    product, store, kept = job.product, job.store, job.kept_archive()
    if job.wanted.transfer != "archive" or job.wanted.overwrite or kept is None:
        return False
    saved: dict[str, SavedFile] = {}
    try:
        with store.open(kept) as stream, open_archive(stream) as zipped:
            selection = select_files(zipped.files, job.wanted.bands, product.product_type)
            for path, file in job.missing(selection).items():
                Expected.of(file, path)
                with job.incoming(path, file.size_bytes) as local:
                    saved[path] = zipped.save(file, local)
    except (CorruptDownloadError, CorruptProductError, UnsafeContentError) as error:
        logger.warning("%s: the kept zip is damaged and fetched again: %s", product.stem, error)
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
    """Stage one product; a file that is not where STAC says is looked for in the manifest."""
    job.store.sweep(job.run.product_dir(job.product))
    if job.wanted.transfer == "archive":
        _fetch_archive(downloads, job, listing, progress)
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
    told = progress(job.product.stem, sum(file.size_bytes or 0 for file in to_fetch.values()))
    saved |= _fetch_files(downloads, job, to_fetch, listing, pool, told)
    _write_receipt(downloads, job, selection, saved)


def _fetch_archive(
    downloads: Downloads, job: ProductJob, listing: Listing, progress: Progress
) -> None:
    """Stage one product out of its zip; a list of files only spares the reading of all of it."""
    saved: dict[str, SavedFile] = {}
    to_fetch: dict[str, SafeFile] | None = None
    try:
        saved, to_fetch = _staged(job, listing.select(job.wanted.bands), listing)
    except _OF_THE_MANIFEST as error:
        logger.warning("%s The manifest inside the zip is used instead.", error)
    if to_fetch != {} or job.wanted.keep_archive:
        told = progress(job.product.stem, job.product.size_bytes)
        saved |= fetch_members(job, to_fetch, listing, downloads, told)
    _write_receipt(downloads, job, listing.select(job.wanted.bands), saved)


def _staged(
    job: ProductJob, selection: Selection, listing: Listing
) -> tuple[dict[str, SavedFile], dict[str, SafeFile]]:
    """Return what earlier tries have left of the missing files, and what is to be fetched."""
    missing = job.missing(selection)
    saved = {path: one for path, file in missing.items() if (one := _left(job, file, listing))}
    return saved, {path: file for path, file in missing.items() if path not in saved}


def _left(job: ProductJob, file: SafeFile, listing: Listing) -> SavedFile | None:
    """Return what an earlier try has left of a file, verified again; None where it is not right."""
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
    told: Callable[[int], None],
) -> dict[str, SavedFile]:
    """Fetch files side by side; one that arrives wrong does not keep the others away."""

    def fetch(file: SafeFile) -> SavedFile:
        with job.incoming(file.path, file.size_bytes) as local:
            return downloads.file(
                job.product, file, local, told, lambda: listing.second_opinion(file.path)
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
    downloads: Downloads, job: ProductJob, selection: Selection, saved: Mapping[str, SavedFile]
) -> None:
    files = tuple(
        DeliveredFile(
            path,
            posixpath.basename(path),
            one.size_bytes,
            one.checksum,
            downloads.archive_url(job.product)
            if job.wanted.transfer == "archive"
            else downloads.file_url(job.product, path),
        )
        for path, one in saved.items()
    )
    paths = {band: tuple(file.path for file in group) for band, group in selection.items()}
    receipt = Receipt(job.product.id, paths, files)
    job.store.write(job.run.receipt_path(job.product), receipt.to_bytes())
