"""Free space of disks."""

from __future__ import annotations

import contextlib
import errno
import shutil
from typing import TYPE_CHECKING

from copernicus_dataspace.errors import StorageFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check_free_space(folder: Path, size_bytes: int) -> None:
    """Refuse to write more bytes to an existing folder than its disk has free.

    Raises:
        StorageFullError: The disk has too little free space.
    """
    free_bytes = shutil.disk_usage(folder).free
    if size_bytes > free_bytes:
        message = (
            f"{folder}: {size_bytes} bytes are needed, and {free_bytes} are free; free some space."
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
