"""Keeps files below one root, on a disk or in object storage: paths checked, failures named."""

from __future__ import annotations

import contextlib
import functools
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.storage import local_files
from copernicus_dataspace.storage.failures import named
from copernicus_dataspace.storage.free_space import (
    FreeSpace,
    full_disk_named,
    size_below,
    size_of_those,
)
from copernicus_dataspace.storage.local_files import LocalFiles
from copernicus_dataspace.storage.object_storage import FileInfo, FsspecFiles
from copernicus_dataspace.storage.paths import check_below
from copernicus_dataspace.storage.verified_file import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from fsspec import AbstractFileSystem

__all__ = ("FileInfo", "Store")


class Store:
    """Files below a root; every path is relative to it, uses ``/`` and stays below it.

    A path that might leave the root is refused as `UnsafeContentError`, and so is a folder below it
    that is a link to elsewhere; the root itself may be one. No call expands ``*``, ``?`` or ``[``:
    each means one object, whatever it is called. A file appears under its path whole or not at all:
    on a disk by a rename, in object storage by an upload. A storage that fails does so in every
    call as `StorageRefusedError`, `StorageFullError` or `StorageUnavailableError`, see
    `storage_errors`.
    """

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        """Use a folder of a filesystem, which need not exist yet.

        Args:
            fs: Any fsspec filesystem.
            root: The folder's path as that filesystem writes it.
        """
        self._fs = fs
        self._root = root.rstrip("/")
        self._is_local = isinstance(fs, LocalFileSystem)
        self._files = LocalFiles(fs, self._root) if self._is_local else FsspecFiles(fs)
        self._room = FreeSpace()
        if not self._is_local:
            local_files.sweep_scratch()

    def uri(self, path: str) -> str:
        """Return the full address of a path."""
        return str(self._fs.unstrip_protocol(self._at(path)))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below a folder, by path relative to it."""
        return {path: found.size_bytes for path, found in self.listing(folder).items()}

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return what is found of every file below a folder, by path relative to it."""
        with self._named(folder, "listed"):
            return self._files.listing(self._folder(folder))

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none where there is no folder."""
        with self._named(folder, "listed"):
            return sorted(self._files.folders(self._folder(folder)))

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes, None where there is none."""
        with self._named(path, "looked at"):
            return self._files.size(self._at(path))

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, None where there is none.

        A link out of the root is none, nor a pipe or a device, which may never end.
        """
        with self._named(path, "read"):
            return self._files.read(self._at(path))

    def is_taken(self, path: str) -> bool:
        """Tell whether a path that `read` finds nothing at has a link, a pipe or a folder there."""
        with self._named(path, "looked at"):
            return self._files.is_taken(self._at(path))

    def head(self, path: str, size_bytes: int) -> bytes:
        """Return the beginning of a file, no more of which is read.

        Raises:
            MissingFileError: There is none.
        """
        with self._named(path, "read"):
            return self._files.head(self._at(path), size_bytes)

    def write(self, path: str, content: bytes) -> None:
        """Write a small file, replacing what is there."""
        with self.incoming(path) as local:
            partial = local.with_name(f".{local.name}.{uuid.uuid4().hex[:12]}{PARTIAL_SUFFIX}")
            try:
                partial.write_bytes(content)
                partial.replace(local)
            finally:
                partial.unlink(missing_ok=True)

    def create(self, path: str, content: bytes) -> bool:
        """Write a small file where there is none; return whether this call has made it.

        Of several that try at once, one succeeds. A process killed meanwhile may leave an empty
        file on a disk.

        Raises:
            NoConditionalWriteError: The storage cannot do that: it knows no ``If-None-Match``.
        """
        with self._named(path, "written"):
            return self._files.create(self._at(path), content)

    @contextlib.contextmanager
    def incoming(self, path: str, size_bytes: int = 0) -> Iterator[Path]:
        """Give a local path to be written by a rename; the file is in the store afterwards.

        Args:
            path: Where the file is to stand.
            size_bytes: What will be written, as far as known.

        Raises:
            StorageFullError: The disk has less room than that, and than others were promised, or
                is full before all is written.
        """
        with self._named(path, "written"), self._files.writing(self._at(path)) as local:
            partial = functools.partial(size_of_those, local.parent, f".{local.name}.")
            with (
                self._room.promised(local.parent, size_bytes, partial),
                named(lambda: str(local), "written"),
                full_disk_named(local.parent),
            ):
                yield local

    @contextlib.contextmanager
    def room(self, folder: str, kept_bytes: int, passing: Sequence[int]) -> Iterator[None]:
        """Keep room for several files, each of which then comes with no size of its own.

        Args:
            folder: Where they will be.
            kept_bytes: Of the one that is written all the while.
            passing: Sizes in bytes of those that are written one after the other meanwhile.

        Raises:
            StorageFullError: The disk has less room than that, and than others were promised.
        """
        with self._named(folder, "written"):
            if not self._is_local:  # each leaves the disk before the next one comes
                scratch = Path(tempfile.gettempdir())
                most_bytes = kept_bytes + max(passing, default=0)
                with self._room.promised(scratch, most_bytes, lambda: 0):
                    yield
                return
            local = Path(self._folder(folder))
            local.mkdir(parents=True, exist_ok=True)
            before_bytes = size_below(local)
            with self._room.promised(
                local, kept_bytes + sum(passing), lambda: size_below(local) - before_bytes
            ):
                yield

    def sweep(self, folder: str) -> None:
        """Remove the partial files that a killed process left below a folder of its own."""
        for path in self.sizes(folder):
            if path.endswith(PARTIAL_SUFFIX):
                self.delete(f"{folder}/{path}")

    def heal_dates(self, folder: str) -> None:
        """Let files below a folder that are dated more than a day ahead count as written now.

        Only on a disk, where hosts date what they write: such a file would never grow old.
        """
        with self._named(folder, "dated"):
            self._files.heal_dates(self._folder(folder))

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading at any place of it; for ``with``.

        Raises:
            MissingFileError: There is none, or a pipe or a device.
        """
        place = self._at(path)
        with self._named(path, "read"):
            return self._reading(path, self._files.open(place))

    def move(self, source: str, target: str) -> None:
        """Give a file another path: a rename on a disk, a copy inside the service elsewhere.

        Raises:
            MissingFileError: There is no source.
        """
        with self._named(source, f"moved to {target}"):
            self._files.move(self._at(source), self._at(target))

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none."""
        with self._named(path, "removed"):
            self._files.delete(self._at(path))

    @contextlib.contextmanager
    def _reading(self, path: str, file: BinaryIO) -> Iterator[BinaryIO]:
        with self._named(path, "read"), file:
            yield file

    def _named(self, path: str, done: str) -> AbstractContextManager[None]:
        """Let a failure of the storage be named, see `storage_errors.named`."""
        whole = f"{self._root}/{path}".rstrip("/")
        return named(lambda: str(self._fs.unstrip_protocol(whole)), done)

    def _at(self, path: str) -> str:
        whole = f"{self._root}/{check_below(path)}"
        self._files.check_inside(whole.rpartition("/")[0])
        return whole

    def _folder(self, path: str) -> str:
        """Return where a folder is to be looked into; the empty path is the root's own."""
        whole = self._at(path) if path else self._root
        self._files.check_inside(whole)
        return whole
