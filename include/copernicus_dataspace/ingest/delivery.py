"""Puts what was staged of a product into place, and describes it.

Shares nothing with the staging but the store, so it may run on another machine. May be killed at
any line and run again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copernicus_dataspace.errors import NotStagedError
from copernicus_dataspace.models.bands import delivered_names
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.stac.delivered_files import Delivery
from copernicus_dataspace.stac.image_header import raster_at
from copernicus_dataspace.stac.item import ITEM_NAME, item_of
from copernicus_dataspace.storage.layout import archive_path, bands_dir
from copernicus_dataspace.storage.leases import Claims

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from copernicus_dataspace.ingest.product_folder import Receipt, Shelf


def deliver(shelf: Shelf, clock: Callable[[], datetime] = utc_now) -> Delivery:
    """Put a staged product into place and describe it; return what stands there.

    The item names the DAG of the run among those that want the product for good, and among those
    whose schedule or backfill asked for its day. The run's claim
    on the product ends with it, well or not.

    Raises:
        NotStagedError: What was staged, and what stands already, are not all that is wanted.
        ClaimedError: Another run has taken the product over.
    """
    with Claims(shelf.store, shelf.run).renewed() as claims:
        try:
            if shelf.receipt() is not None or not _is_named(shelf):
                claims.need(shelf.product)
            return _deliver(shelf, clock)
        finally:
            claims.release(shelf.product)


def _is_named(shelf: Shelf) -> bool:
    """Tell whether the item names who wants the product by this run."""
    current = shelf.delivery()
    return current is not None and current == current.wanted_by(shelf.ingests, shelf.scheduled)


def _deliver(shelf: Shelf, clock: Callable[[], datetime]) -> Delivery:
    receipt, current = shelf.receipt(), shelf.delivery()
    if receipt is None:
        if current is None or not shelf.is_present():
            raise _not_staged(shelf)
        if not _is_named(shelf):
            current = current.wanted_by(shelf.ingests, shelf.scheduled)
            _describe(shelf, current, clock())
        _clear_staging(shelf)
        return current
    if not _has_zip(shelf):
        raise _not_staged(shelf)
    newer = replace(_place(shelf, receipt, current), created=clock())
    latest = shelf.delivery()  # by a run whose lease had ended, if not the current one
    delivery = latest.merged(newer) if latest else newer
    if delivery.missing(shelf.wanted.bands, set(delivery.files)):
        raise _not_staged(shelf)
    _keep_archive(shelf)
    _describe(shelf, delivery, clock())
    _clear_staging(shelf)
    return delivery


def _describe(shelf: Shelf, delivery: Delivery, now: datetime) -> None:
    staged = f"{shelf.run.product_dir(shelf.product)}/{ITEM_NAME}"
    shelf.store.write(staged, item_of(delivery, shelf.product, now))
    shelf.store.move(staged, shelf.item_path)


def _not_staged(shelf: Shelf) -> NotStagedError:
    message = f"{shelf.product.stem}: nothing to deliver, its download has not succeeded."
    return NotStagedError(message)


def is_held(shelf: Shelf, receipt: Receipt) -> bool:
    """Tell whether all that an earlier try fetched is staged or, already, in place."""
    store = shelf.store
    names = _names([file.path for file in receipt.files], shelf.delivery())
    staged = store.sizes(shelf.run.safe_dir(shelf.product))
    placed = store.sizes(bands_dir(shelf.product))
    return (
        set(shelf.wanted.bands) <= set(receipt.selection)
        and _has_zip(shelf)
        and all(
            file.size_bytes in (staged.get(file.path), placed.get(names[file.path]))
            for file in receipt.files
        )
    )


def _has_zip(shelf: Shelf) -> bool:
    """Tell whether the zip is staged or kept already, or not wanted."""
    staged = shelf.store.size(shelf.run.zip_path(shelf.product)) is not None
    return not shelf.wanted.keep_archive or staged or shelf.kept_archive() is not None


def _keep_archive(shelf: Shelf) -> None:
    staged = shelf.run.zip_path(shelf.product)
    if shelf.wanted.keep_archive and shelf.store.size(staged) is not None:
        shelf.store.move(staged, archive_path(shelf.product))


def _clear_staging(shelf: Shelf) -> None:
    """Remove what was staged, the receipt first, which would promise it."""
    shelf.store.delete(shelf.run.receipt_path(shelf.product))
    shelf.store.delete(shelf.run.product_dir(shelf.product))


def _place(shelf: Shelf, staged: Receipt, current: Delivery | None) -> Delivery:
    """Give the staged files their names; those an earlier try has placed already stay."""
    store, folder = shelf.store, bands_dir(shelf.product)
    names = _names([file.path for file in staged.files], current)
    files = {file.path: replace(file, name=names[file.path]) for file in staged.files}
    placed = store.sizes(folder)
    for path, file in files.items():
        source = f"{shelf.run.safe_dir(shelf.product)}/{path}"
        if store.size(source) == file.size_bytes:
            store.move(source, f"{folder}/{file.name}")
        elif placed.get(file.name) != file.size_bytes:
            raise _not_staged(shelf)
    for path, file in files.items():
        if file.size_bytes:  # object storage refuses to read the beginning of nothing
            files[path] = replace(file, raster=raster_at(store, f"{folder}/{file.name}"))
    run = shelf.run
    delivery = Delivery(staged.selection, files, run.dag_id, run.run_id, run.stamp)
    return delivery.wanted_by(shelf.ingests, shelf.scheduled)


def _names(paths: list[str], current: Delivery | None) -> dict[str, str]:
    taken = {file.path: file.name for file in current.files.values()} if current else {}
    return delivered_names(paths, taken)
