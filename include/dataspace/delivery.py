"""Brings one product into a store: `stage` fetches and verifies, `deliver` puts it into place.

The two share nothing but the store, so they may run on different machines. Both may be killed at
any line and run again: a file stands under its name only once it is verified, and what stands is
not fetched again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from dataspace.archive import open_archive
from dataspace.bands import delivered_names, select_files
from dataspace.downloads import MANIFEST
from dataspace.errors import (
    BandError,
    CorruptDownloadError,
    CorruptProductError,
    NotStagedError,
    ProductUnavailableError,
)
from dataspace.item import DeliveredFile, Delivery
from dataspace.layout import archive_path, bands_dir
from dataspace.manifest import parse_manifest
from dataspace.shelf import Receipt, Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dataspace.archive import SafeArchive
    from dataspace.downloads import Downloads
    from dataspace.manifest import SafeFile
    from dataspace.product import Product

logger = logging.getLogger(__name__)

Progress = Callable[[str, int | None], Callable[[int], None]]
"""Given a name and the bytes to come (None: unknown), returns what is told of each piece."""


def stage(shelf: Shelf, downloads: Downloads, progress: Progress) -> bool:
    """Fetch what is missing of a product; tell whether anything was missing.

    Raises:
        DataSpaceError: It cannot be had; what was verified so far is kept for the next try.
    """
    if shelf.is_present():
        return False
    receipt = shelf.receipt()
    if receipt is None or not _is_held(shelf, receipt):
        fetch = _stage_archive if shelf.wanted.transfer == "archive" else _stage_files
        receipt = fetch(shelf, downloads, progress)
        shelf.store.write(shelf.run.receipt_path(shelf.product), receipt.to_bytes())
    return True


def deliver(shelf: Shelf) -> Delivery:
    """Put a staged product into place and describe it; return what stands there.

    Raises:
        NotStagedError: What was staged, and what stands already, are not all that is wanted.
        CorruptProductError: Members of a fetched zip contradict its own manifest.
    """
    receipt, current = shelf.receipt(), shelf.delivery()
    if receipt is None:
        if current is None or not shelf.is_present():
            raise _not_staged(shelf)
        _clear_staging(shelf)
        return current
    if receipt.zip_path:
        files = _extract(shelf, receipt, receipt.zip_path)
    elif shelf.wanted.keep_archive and not shelf.kept_archive():
        raise _not_staged(shelf)
    else:
        files = receipt
    newer = _place(shelf, files, current)
    latest = shelf.delivery()  # another run may have added to it meanwhile
    delivery = latest.merged(newer) if latest else newer
    if delivery.missing(shelf.wanted.bands, set(delivery.files)):
        raise _not_staged(shelf)
    _keep_archive(shelf, receipt)
    shelf.store.write(shelf.item_path, delivery.to_item(shelf.product))
    _clear_staging(shelf)
    return delivery


def _not_staged(shelf: Shelf) -> NotStagedError:
    message = f"{shelf.product.stem}: nothing to deliver, its download has not succeeded."
    return NotStagedError(message)


def _keep_archive(shelf: Shelf, receipt: Receipt) -> None:
    kept, fetched = archive_path(shelf.product), receipt.zip_path
    if not shelf.wanted.keep_archive or not fetched or fetched == kept:
        return
    if shelf.store.size(fetched) is not None:
        shelf.store.move(fetched, kept)


def _is_held(shelf: Shelf, receipt: Receipt) -> bool:
    """Tell whether all that an earlier try fetched is staged or, already, in place."""
    store = shelf.store
    if receipt.zip_path:
        return store.size(receipt.zip_path) is not None
    if shelf.wanted.keep_archive:
        return False
    names = _names([file.path for file in receipt.files], shelf.delivery())
    staged = store.sizes(shelf.run.safe_dir(shelf.product))
    placed = store.sizes(bands_dir(shelf.product))
    return set(shelf.wanted.bands) <= set(receipt.selection) and all(
        file.size_bytes in (staged.get(file.path), placed.get(names[file.path]))
        for file in receipt.files
    )


def _clear_staging(shelf: Shelf) -> None:
    run, product = shelf.run, shelf.product
    for path in (run.receipt_path(product), run.safe_dir(product), run.zip_path(product)):
        shelf.store.delete(path)


def _stage_files(shelf: Shelf, downloads: Downloads, progress: Progress) -> Receipt:
    manifest_path = f"{shelf.run.safe_dir(shelf.product)}/{MANIFEST}"
    manifest = shelf.store.read(manifest_path)  # of an earlier try
    if manifest is None:
        manifest = downloads.manifest(shelf.product)
        shelf.store.write(manifest_path, manifest)
    try:
        return _stage_by(manifest, shelf, downloads, progress)
    except (CorruptDownloadError, BandError, ProductUnavailableError):
        fresh = downloads.manifest(shelf.product)
        if fresh == manifest:
            raise
        logger.warning("%s: its manifest had arrived damaged.", shelf.product.stem)
        shelf.store.write(manifest_path, fresh)
        return _stage_by(fresh, shelf, downloads, progress)


def _stage_by(manifest: bytes, shelf: Shelf, downloads: Downloads, progress: Progress) -> Receipt:
    product, safe_dir = shelf.product, shelf.run.safe_dir(shelf.product)
    selection = select_files(parse_manifest(manifest), shelf.wanted.bands, product.product_type)
    chosen = {file.path: file for group in selection.values() for file in group}
    standing = shelf.standing()
    missing = {path: file for path, file in chosen.items() if path not in standing}
    staged = shelf.store.sizes(safe_dir)
    to_fetch = [file for path, file in missing.items() if staged.get(path) != file.size_bytes]
    told = progress(product.stem, sum(file.size_bytes or 0 for file in to_fetch))
    _fetch_all(shelf, downloads, to_fetch, told)
    staged = shelf.store.sizes(safe_dir)
    files = (
        _described(file, staged[path], downloads.file_url(product, path))
        for path, file in missing.items()
    )
    return Receipt(_paths(selection), tuple(files))


def _fetch_all(
    shelf: Shelf, downloads: Downloads, files: list[SafeFile], told: Callable[[int], None]
) -> None:
    """Fetch the files one by one; one that arrives wrong does not keep the others away."""
    wrong: list[CorruptDownloadError] = []
    for file in files:
        path = f"{shelf.run.safe_dir(shelf.product)}/{file.path}"
        try:
            with shelf.store.incoming(path) as local:
                downloads.file(shelf.product, file, local, told)
        except CorruptDownloadError as error:
            wrong.append(error)
    if wrong:
        message = f"{len(wrong)} of {len(files)} files are wrong: {'; '.join(map(str, wrong))}"
        raise CorruptDownloadError(message) from wrong[0]


def _stage_archive(shelf: Shelf, downloads: Downloads, progress: Progress) -> Receipt:
    product, store = shelf.product, shelf.store
    source_url = downloads.archive_url(product)
    kept = None if shelf.wanted.overwrite else shelf.kept_archive()
    if kept:
        return Receipt({}, (), kept, source_url)
    zip_path = shelf.run.zip_path(product)
    if store.size(zip_path) is None:
        with store.incoming(zip_path) as local:
            unverified = local.with_name(f".{local.name}.unverified")
            try:
                downloads.archive(product, unverified, progress(product.stem, product.size_bytes))
                if product.checksum is None:
                    _verify_members(product, unverified)
                unverified.replace(local)
            finally:
                unverified.unlink(missing_ok=True)
    return Receipt({}, (), zip_path, source_url)


def _verify_members(product: Product, path: Path) -> None:
    """Check a zip for which the catalogue gives no checksum against the manifest inside."""
    try:
        with open_archive(path) as archive:
            failures = archive.failures()
    except CorruptProductError as error:
        failures = error.members
    if failures:
        message = (
            f"{product.stem}.zip: the catalogue gives no checksum, and {len(failures)} members "
            f"contradict the manifest: {'; '.join(failures[:3])}; try again."
        )
        raise CorruptDownloadError(message)


def _place(shelf: Shelf, staged: Receipt, current: Delivery | None) -> Delivery:
    """Give the staged files their names; those an earlier try has placed already stay."""
    store, folder = shelf.store, bands_dir(shelf.product)
    names = _names([file.path for file in staged.files], current)
    files = {file.path: replace(file, name=names[file.path]) for file in staged.files}
    placed = store.sizes(folder)
    for path, file in files.items():
        source = f"{shelf.run.safe_dir(shelf.product)}/{path}"
        if store.size(source) is not None:
            store.move(source, f"{folder}/{file.name}")
        elif placed.get(file.name) != file.size_bytes:
            raise _not_staged(shelf)
    run = shelf.run
    return Delivery(staged.selection, files, run.dag_id, run.run_id, run.stamp)


def _extract(shelf: Shelf, receipt: Receipt, zip_path: str) -> Receipt:
    """Stage the wanted members of a fetched zip; return what single files would have left."""
    store = shelf.store
    there = zip_path if store.size(zip_path) is not None else archive_path(shelf.product)
    with store.open(there) as stream, open_archive(stream) as zipped:
        selection = select_files(zipped.files, shelf.wanted.bands, shelf.product.product_type)
        chosen = {file.path: file for group in selection.values() for file in group}
        sizes = _save_members(shelf, zipped, list(chosen.values()))
    files = (_described(file, sizes[path], receipt.source_url) for path, file in chosen.items())
    return Receipt(_paths(selection), tuple(files))


def _save_members(shelf: Shelf, zipped: SafeArchive, files: list[SafeFile]) -> dict[str, int]:
    """Stage members of a zip; return their sizes in bytes by path."""
    sizes: dict[str, int] = {}
    wrong: list[str] = []
    for file in files:
        try:
            with shelf.store.incoming(f"{shelf.run.safe_dir(shelf.product)}/{file.path}") as local:
                sizes[file.path] = zipped.save(file, local).size_bytes
        except CorruptProductError as error:
            wrong += error.members
    if wrong:
        lines = "; ".join(wrong)
        message = f"{shelf.product.stem}: {len(wrong)} of {len(files)} members are wrong: {lines}"
        raise CorruptProductError(message, tuple(wrong))
    return sizes


def _paths(selection: Mapping[str, tuple[SafeFile, ...]]) -> dict[str, tuple[str, ...]]:
    return {band: tuple(file.path for file in group) for band, group in selection.items()}


def _names(paths: list[str], current: Delivery | None) -> dict[str, str]:
    taken = {file.path: file.name for file in current.files.values()} if current else {}
    return delivered_names(paths, taken)


def _described(file: SafeFile, size_bytes: int, source_url: str) -> DeliveredFile:
    if file.checksum is None:
        message = f"{file.path}: the manifest gives no usable checksum; it cannot be verified."
        raise CorruptDownloadError(message)
    return DeliveredFile(file.path, file.name, size_bytes, file.checksum, source_url)
