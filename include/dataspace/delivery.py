"""Puts what was staged of a product into place, and describes it.

Shares nothing with the staging but the store, so it may run on another machine. May be killed at
any line and run again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dataspace.bands import delivered_names
from dataspace.errors import NotStagedError
from dataspace.item import ITEM_NAME, Delivery
from dataspace.layout import archive_path, bands_dir

if TYPE_CHECKING:
    from dataspace.shelf import Receipt, Shelf


def deliver(shelf: Shelf) -> Delivery:
    """Put a staged product into place and describe it; return what stands there.

    Raises:
        NotStagedError: What was staged, and what stands already, are not all that is wanted.
    """
    receipt, current = shelf.receipt(), shelf.delivery()
    if receipt is None:
        if current is None or not shelf.is_present():
            raise _not_staged(shelf)
        _clear_staging(shelf)
        return current
    if not _has_zip(shelf):
        raise _not_staged(shelf)
    newer = _place(shelf, receipt, current)
    latest = shelf.delivery()  # another run may have added to it meanwhile
    delivery = latest.merged(newer) if latest else newer
    if delivery.missing(shelf.wanted.bands, set(delivery.files)):
        raise _not_staged(shelf)
    _keep_archive(shelf)
    staged = f"{shelf.run.product_dir(shelf.product)}/{ITEM_NAME}"
    shelf.store.write(staged, delivery.to_item(shelf.product))
    shelf.store.move(staged, shelf.item_path)
    _clear_staging(shelf)
    return delivery


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
    run = shelf.run
    return Delivery(staged.selection, files, run.dag_id, run.run_id, run.stamp)


def _names(paths: list[str], current: Delivery | None) -> dict[str, str]:
    taken = {file.path: file.name for file in current.files.values()} if current else {}
    return delivered_names(paths, taken)
