"""Delivers a staged product: moves its files into place and writes its STAC item.

Needs only the store, so it may run on another machine than the staging. Safe to kill and run again.
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
from copernicus_dataspace.storage.layout import bands_dir, kept_zip_path
from copernicus_dataspace.storage.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from copernicus_dataspace.ingest.product_job import ProductJob, Receipt


def deliver(job: ProductJob, clock: Callable[[], datetime] = utc_now) -> Delivery:
    """Deliver a staged product and write its item; return what is delivered.

    The item names the run's owner among the ingests that want the product permanently, and among
    those whose schedule or backfill covers its day. The run's lease on the product is released in
    any case.

    Raises:
        NotStagedError: Staged and delivered files together are not all wanted files.
        InProgressError: Another run has taken over the product.
    """
    with Leases(job.store, job.run).renewed() as leases:
        try:
            if job.receipt() is not None or not _is_named(job):
                leases.need(job.product)
            return _deliver(job, clock)
        finally:
            leases.release(job.product)


def _is_named(job: ProductJob) -> bool:
    """Tell whether the item already names the run's owner."""
    current = job.delivery()
    return current is not None and current == current.wanted_by(job.ingests, job.scheduled)


def _deliver(job: ProductJob, clock: Callable[[], datetime]) -> Delivery:
    receipt, current = job.receipt(), job.delivery()
    if receipt is None:
        if current is None or not job.is_present():
            raise _not_staged(job)
        if not _is_named(job):
            current = current.wanted_by(job.ingests, job.scheduled)
            _describe(job, current, clock())
        _clear_staging(job)
        return current
    if not _has_zip(job):
        raise _not_staged(job)
    newer = replace(_place(job, receipt, current), created=clock())
    latest = job.delivery()  # may be by another run, whose lease had ended
    delivery = latest.merged(newer) if latest else newer
    if delivery.missing(job.wanted.bands, set(delivery.files)):
        raise _not_staged(job)
    _keep_zip(job)
    _describe(job, delivery, clock())
    _clear_staging(job)
    return delivery


def _describe(job: ProductJob, delivery: Delivery, now: datetime) -> None:
    staged = f"{job.run.product_dir(job.product)}/{ITEM_NAME}"
    job.store.write(staged, item_of(delivery, job.product, now))
    job.store.move(staged, job.item_path)


def _not_staged(job: ProductJob) -> NotStagedError:
    message = f"{job.product.stem}: nothing to deliver, the download has not succeeded."
    return NotStagedError(message)


def is_held(job: ProductJob, receipt: Receipt) -> bool:
    """Tell whether all files of an earlier download are still staged or already delivered."""
    store = job.store
    names = _names([file.path for file in receipt.files], job.delivery())
    staged = store.sizes(job.run.safe_dir(job.product))
    placed = store.sizes(bands_dir(job.product))
    return (
        set(job.wanted.bands) <= set(receipt.selection)
        and _has_zip(job)
        and all(
            file.size_bytes in (staged.get(file.path), placed.get(names[file.path]))
            for file in receipt.files
        )
    )


def _has_zip(job: ProductJob) -> bool:
    """Tell whether the zip is staged, kept already, or not wanted."""
    staged = job.store.size(job.run.zip_path(job.product)) is not None
    return not job.wanted.keep_archive or staged or job.kept_zip() is not None


def _keep_zip(job: ProductJob) -> None:
    staged = job.run.zip_path(job.product)
    if job.wanted.keep_archive and job.store.size(staged) is not None:
        job.store.move(staged, kept_zip_path(job.product))


def _clear_staging(job: ProductJob) -> None:
    """Remove the staged files, the receipt first."""
    job.store.delete(job.run.receipt_path(job.product))
    job.store.delete(job.run.product_dir(job.product))


def _place(job: ProductJob, staged: Receipt, current: Delivery | None) -> Delivery:
    """Move the staged files to their final names, unless an earlier attempt has done so."""
    store, folder = job.store, bands_dir(job.product)
    names = _names([file.path for file in staged.files], current)
    files = {file.path: replace(file, name=names[file.path]) for file in staged.files}
    placed = store.sizes(folder)
    for path, file in files.items():
        source = f"{job.run.safe_dir(job.product)}/{path}"
        if store.size(source) == file.size_bytes:
            store.move(source, f"{folder}/{file.name}")
        elif placed.get(file.name) != file.size_bytes:
            raise _not_staged(job)
    for path, file in files.items():
        if file.size_bytes:  # object storage refuses to read from an empty file
            files[path] = replace(file, raster=raster_at(store, f"{folder}/{file.name}"))
    run = job.run
    delivery = Delivery(staged.selection, files, run.owner, run.run_id, run.stamp)
    return delivery.wanted_by(job.ingests, job.scheduled)


def _names(paths: list[str], current: Delivery | None) -> dict[str, str]:
    taken = {file.path: file.name for file in current.files.values()} if current else {}
    return delivered_names(paths, taken)
