"""Reads files of the archive and compares their checksums with those in the items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import MissingFileError, StorageUnavailableError
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.failures import FailureCause
from copernicus_dataspace.storage.layout import bands_dir
from copernicus_dataspace.storage.verified_file import saved_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from copernicus_dataspace.models.checksum import Checksum
    from copernicus_dataspace.stac.inventory import Entry
    from copernicus_dataspace.storage.store import Store

_THREADS: Final = 4
_READS: Final = 2


def due(days: Iterable[date], period_days: int, last: date | None, today: date) -> list[date]:
    """Return the sensing days whose files are to be read today.

    Each sensing day is due once per period. Days that were due since the last scan are included.

    Args:
        days: All sensing days with products.
        period_days: Period in days; 0 for never.
        last: Day of the last scan; None if there was none.
        today: Day of this scan.
    """
    if not period_days:
        return []
    since = 1 if last is None else (today - last).days
    turns = {(today.toordinal() - n) % period_days for n in range(min(since, period_days))}
    return [day for day in days if day.toordinal() % period_days in turns]


def scrub(store: Store, entries: Iterable[Entry]) -> tuple[dict[str, list[str]], int]:
    """Return the names of files with a wrong checksum, by product stem, and the bytes read.

    Files that are missing or have a wrong size are not read.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        looks = list(pool.map(lambda entry: (entry, *_look(store, entry)), entries))
    wrong = {entry.product.stem: names for entry, names, _ in looks if names}
    return wrong, sum(read_bytes for _, _, read_bytes in looks)


def _look(store: Store, entry: Entry) -> tuple[list[str], int]:
    folder = bands_dir(entry.product)
    delivery = delivery_of(store.read(f"{folder}/{ITEM_NAME}"))
    wrong, read_bytes = [], 0
    for file in delivery.files.values() if delivery else ():
        if entry.existing.get(file.name) == file.size_bytes:
            read_bytes += file.size_bytes
            if not _is_right(store, f"{folder}/{file.name}", file.checksum):
                wrong.append(file.name)
    return wrong, read_bytes


def _is_right(store: Store, path: str, checksum: Checksum) -> bool:
    try:
        return is_as_promised(store, path, checksum)
    except MissingFileError:  # it is being replaced or removed right now
        return True


def is_as_promised(store: Store, path: str, checksum: Checksum) -> bool:
    """Read a file; tell whether it has the expected checksum.

    False also if a disk fails to read it twice (bad sector).

    Raises:
        MissingFileError: There is no such file.
        StorageUnavailableError: It cannot be read now.
    """
    for _ in range(_READS):
        try:
            with store.open(path) as stream:
                return saved_of(stream, checksum).checksum == checksum
        except StorageUnavailableError as error:
            if not FailureCause.of(error).is_bad_sector:
                raise
    return False
