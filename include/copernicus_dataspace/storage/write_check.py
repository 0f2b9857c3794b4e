"""Tries in a few small files all that a run will do in a store, before anything is fetched."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import (
    NoConditionalWriteError,
    StorageRefusedError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from copernicus_dataspace.storage.store import Store

_FOLDER: Final = "probe"
_CONTENT: Final = b"tried by a run, and removed again"


def check_store(store: Store, folder: str, *, one_run_at_a_time: bool) -> None:
    """Write, list, read, move and remove a file, and write one only where there is none.

    Args:
        store: Of the output.
        folder: Where the file is to be; of this task alone.
        one_run_at_a_time: Whether nobody else writes there meanwhile, so that a storage is good
            enough that cannot keep two runs apart.

    Raises:
        StorageRefusedError: It cannot do one of these; says which, and what to do.
        NoConditionalWriteError: It cannot keep two runs apart, and may have to.
        StorageUnavailableError: It may be able to, but not now.
    """
    own = f"{folder}/{_FOLDER}"
    first, second = f"{own}/{uuid.uuid4().hex[:12]}", f"{own}/{uuid.uuid4().hex[:12]}"
    store.delete(own)  # what an earlier try has left
    try:
        _check_conditional(store, first)
    except NoConditionalWriteError as error:
        store.write(first, _CONTENT)  # or nothing may be written at all
        if not one_run_at_a_time:
            message = (
                f"{error} Two runs that want the same product could not be kept apart. Choose "
                "another output; or set one_run_at_a_time where no other run writes to this one."
            )
            raise NoConditionalWriteError(message) from error
    store.read(first)  # says why where it may not; a move begins with HEAD, which does not
    store.move(first, second)
    if store.read(second) != _CONTENT:
        message = f"{store.uri(second)} was just written, and reads otherwise; try again."
        raise StorageUnavailableError(message)
    if store.head(second, 1) != _CONTENT[:1]:
        message = f"{store.uri(second)} cannot be read in parts; choose another output."
        raise StorageRefusedError(message)
    store.delete(own)


def _check_conditional(store: Store, path: str) -> None:
    """Write a file where there is none, and try to do so again.

    Args:
        store: Where.
        path: A new one, of which nobody else knows; the file is left there.

    Raises:
        NoConditionalWriteError: The storage cannot do that, or has written it twice.
        StorageUnavailableError: It may be able to, but not now.
    """
    # The client itself repeats a request whose answer was lost, and is told that the file is there.
    if not store.create(path, _CONTENT) and store.read(path) != _CONTENT:
        message = f"{store.uri(path)} is said to be there, and is not; try again."
        raise StorageUnavailableError(message)
    if store.create(path, _CONTENT):
        message = f"{store.uri(path)} was to be written only where there is none, and was twice."
        raise NoConditionalWriteError(message)
