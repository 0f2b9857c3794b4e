"""Checks with small test files that a store supports all operations of a run."""

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
    """Write, list, read, move and remove a file, and write one conditionally.

    Args:
        store: The output.
        folder: Folder for the test files, used by nobody else.
        one_run_at_a_time: Whether no other run writes to the store at the same time, so that
            conditional writes are not needed.

    Raises:
        StorageRefusedError: An operation is not possible; the message says what to do.
        NoConditionalWriteError: Conditional writes are needed and not supported.
        StorageUnavailableError: The store is not available now.
    """
    own = f"{folder}/{_FOLDER}"
    first, second = f"{own}/{uuid.uuid4().hex[:12]}", f"{own}/{uuid.uuid4().hex[:12]}"
    store.delete(own)  # files of an earlier attempt
    try:
        _check_conditional(store, first)
    except NoConditionalWriteError as error:
        store.write(first, _CONTENT)  # check that it can be written at all
        if not one_run_at_a_time:
            message = (
                f"{error} Without that, two runs may write the same product. Choose another "
                "output, or set one_run_at_a_time if no other run writes to this one."
            )
            raise NoConditionalWriteError(message) from error
    store.read(first)  # a clearer error than that of a move, which starts with HEAD
    store.move(first, second)
    if store.sizes(own).keys() != {second.rpartition("/")[2]}:
        message = f"{store.uri(own)} does not list the file just written; try again."
        raise StorageUnavailableError(message)
    if store.read(second) != _CONTENT:
        message = f"{store.uri(second)} was written, but reads back differently; try again."
        raise StorageUnavailableError(message)
    if store.head(second, 1) != _CONTENT[:1]:
        message = f"{store.uri(second)} cannot be read in parts; choose another output."
        raise StorageRefusedError(message)
    store.delete(own)


def _check_conditional(store: Store, path: str) -> None:
    """Write a new file conditionally twice; the second write must fail.

    Args:
        store: The output.
        path: A new path, used by nobody else; the file is left there.

    Raises:
        NoConditionalWriteError: Conditional writes are refused or ignored.
        StorageUnavailableError: The store is not available now.
    """
    # If a response is lost, the client repeats the request and gets "exists".
    if not store.create(path, _CONTENT) and store.read(path) != _CONTENT:
        message = f"{store.uri(path)} is reported to exist, but does not; try again."
        raise StorageUnavailableError(message)
    if store.create(path, _CONTENT):
        message = (
            f"{store.uri(path)} was overwritten by a conditional write (If-None-Match is ignored)."
        )
        raise NoConditionalWriteError(message)
