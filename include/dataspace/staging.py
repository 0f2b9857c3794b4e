"""Fetches what is missing of many products at once, verified, into the run's staging folder.

May be killed at any line and run again: a file stands under its name only once it is verified, and
what stands is not fetched again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import posixpath
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Final, TypeVar

from dataspace.archive import open_archive
from dataspace.archive_stream import fetch_members
from dataspace.bands import select_files
from dataspace.delivery import is_held
from dataspace.errors import (
    CorruptDownloadError,
    CorruptProductError,
    ProductUnavailableError,
    UnsafeContentError,
)
from dataspace.item import DeliveredFile
from dataspace.listing import list_products
from dataspace.shelf import Receipt
from dataspace.transfer import Expected, Saved, saved_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dataspace.client import DataSpaceClient
    from dataspace.downloads import Downloads
    from dataspace.listing import Listing
    from dataspace.manifest import SafeFile
    from dataspace.product import Product
    from dataspace.shelf import Shelf

logger = logging.getLogger(__name__)

Progress = Callable[[str, int | None], Callable[[int], None]]
"""Given a name and the bytes to come (None: unknown), returns what is told of each piece."""

Selection = Mapping[str, tuple["SafeFile", ...]]
"""For each band or pattern the files it means."""
T = TypeVar("T")

_THREADS: Final = 4
"""For each connection: while one moves bytes, others verify, or wait before another try."""


def stage(
    shelves: Sequence[Shelf],
    client: DataSpaceClient,
    progress: Progress,
    told: Callable[[Product, bool | Exception], None],
) -> None:
    """Fetch what is missing of products, as many files at once as the client has connections.

    One product failing leaves the others alone; what was verified of it is kept for the next try.

    Args:
        shelves: The products' places; all want the same.
        client: Where the bytes come from.
        progress: Makes the listener of each product's transfer.
        told: Called in this thread as each product is done: whether anything was fetched, or
            the error.
    """
    with _threads(client) as (products, files):
        downloads = client.downloads
        missing: list[Shelf] = []
        look = functools.partial(_is_settled, downloads)
        for shelf, is_settled in _each(products, look, shelves, told):
            if is_settled:
                told(shelf.product, False)
            else:
                missing.append(shelf)
        if not missing:
            return
        wanted = [shelf.product for shelf in missing]
        bands = missing[0].wanted.bands
        listings = list_products(wanted, bands, downloads, client.stac)

        def fetch(shelf: Shelf) -> None:
            _fetch(downloads, shelf, listings[shelf.product.id], files, progress)

        for shelf, _ in _each(products, fetch, missing, told):
            told(shelf.product, True)


def _each(
    pool: ThreadPoolExecutor,
    act: Callable[[Shelf], T],
    shelves: Sequence[Shelf],
    told: Callable[[Product, bool | Exception], None],
) -> Iterator[tuple[Shelf, T]]:
    """Yield each shelf with what the act returned, as it is done; those that fail are told."""
    futures = {pool.submit(act, shelf): shelf for shelf in shelves}
    for future in as_completed(futures):
        error = future.exception()
        if error is None:
            yield futures[future], future.result()
        elif isinstance(error, Exception):
            told(futures[future].product, error)
        else:
            raise error


@contextlib.contextmanager
def _threads(
    client: DataSpaceClient,
) -> Iterator[tuple[ThreadPoolExecutor, ThreadPoolExecutor]]:
    """Give threads for products and for files; when the caller is interrupted, all end soon."""
    connections = client.connections
    products = ThreadPoolExecutor(_THREADS * connections, "product")
    files = ThreadPoolExecutor(_THREADS * connections, "file")
    try:
        yield products, files
    except BaseException:
        client.stop()
        raise
    finally:
        for pool in (products, files):
            pool.shutdown(wait=True, cancel_futures=True)


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
            for path, file in _missing(shelf, selection).items():
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
    missing = _missing(shelf, selection)
    saved = {path: one for path, file in missing.items() if (one := _staged(shelf, file, listing))}
    to_fetch = {path: file for path, file in missing.items() if path not in saved}
    if shelf.wanted.transfer == "archive":
        if to_fetch or shelf.wanted.keep_archive:
            told = progress(shelf.product.stem, shelf.product.size_bytes)
            saved |= fetch_members(shelf, to_fetch, listing, downloads, told)
    else:
        told = progress(shelf.product.stem, sum(file.size_bytes or 0 for file in to_fetch.values()))
        saved |= _fetch_files(downloads, shelf, to_fetch, listing, pool, told)
    _write_receipt(downloads, shelf, selection, saved)


def _missing(shelf: Shelf, selection: Selection) -> dict[str, SafeFile]:
    """Return the wanted files that do not stand, by path."""
    standing = shelf.standing()
    chosen = {file.path: file for group in selection.values() for file in group}
    return {path: file for path, file in chosen.items() if path not in standing}


def _staged(shelf: Shelf, file: SafeFile, listing: Listing) -> Saved | None:
    """Return what an earlier try has left of a file, verified again; None where it is not right."""
    path = f"{shelf.run.safe_dir(shelf.product)}/{file.path}"
    if file.checksum is None or shelf.store.size(path) is None:
        return None
    with shelf.store.open(path) as stream:
        saved = saved_of(stream, file.checksum)
    if saved.checksum == file.checksum:
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
