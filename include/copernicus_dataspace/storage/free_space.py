"""Free space of disks, and reservations of it by the threads of one process."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING

from copernicus_dataspace.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class FreeSpace:
    """Reservations of free disk space by the threads of one process."""

    def __init__(self) -> None:
        """Start without reservations."""
        self._left: dict[object, Callable[[], int]] = {}
        self._promised_bytes = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def promised(self, folder: Path, size_bytes: int, written: Callable[[], int]) -> Iterator[None]:
        """Reserve space for bytes to be written.

        Args:
            folder: Existing folder they will be written to.
            size_bytes: Number of bytes.
            written: Returns how many of them have been written.

        Raises:
            StorageFullError: The disk has too little free space for all reservations.
        """
        promise = object()
        with self._lock:
            self._check(folder, size_bytes)
            self._left[promise] = lambda: max(0, size_bytes - written())
            self._promised_bytes += size_bytes
        try:
            yield
        finally:
            with self._lock:
                del self._left[promise]
                self._promised_bytes -= size_bytes

    def _check(self, folder: Path, size_bytes: int) -> None:
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes + self._promised_bytes <= free_bytes:
            return
        coming_bytes = sum(left() for left in self._left.values())
        if size_bytes + coming_bytes > free_bytes:
            message = (
                f"{folder}: {size_bytes} bytes are needed, {coming_bytes} more are "
                f"reserved, and {free_bytes} are free; free some space."
            )
            raise StorageFullError(message)


@contextlib.contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Raise a full disk as a `StorageFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free_bytes = shutil.disk_usage(folder).free
        message = f"{folder}: {error.strerror}, {free_bytes} bytes are free; free some space."
        raise StorageFullError(message) from error


def size_below(folder: Path) -> int:
    """Return the bytes of all files below a folder, even while it changes."""
    paths = (os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sum(map(_size, paths))


def size_of_those(folder: Path, prefix: str) -> int:
    """Return the bytes of the files of a folder whose names start with a prefix."""
    return sum(_size(entry.path) for entry in os.scandir(folder) if entry.name.startswith(prefix))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except FileNotFoundError:
        return 0
