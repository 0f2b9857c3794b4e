"""A store of files below one root, on a disk or in object storage, with checked paths."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.storage.failures import named
from copernicus_dataspace.storage.local_files import LocalFiles, check_free_space, sweep_scratch
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

    A path that may leave the root raises `UnsafeContentError`, and so does a folder that is a link
    out of it; the root itself may be a link. Paths are never patterns: ``*``, ``?`` and ``[`` are
    ordinary characters. Writes are atomic: a rename on a disk, an upload in object storage. Every
    method may raise `StorageRefusedError`, `StorageFullError` or `StorageUnavailableError`, see
    `storage.failures`.
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
        if not self._is_local:
            sweep_scratch()

    def uri(self, path: str) -> str:
        """Return the full URI of a path."""
        return str(self._fs.unstrip_protocol(self._at(path)))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below a folder, by path relative to it."""
        return {path: found.size_bytes for path, found in self.listing(folder).items()}

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return every file below a folder, by path relative to it."""
        with self._named(folder, "listed"):
            return self._files.listing(self._folder(folder))

    def folders(self, folder: str) -> list[str]:
        """Return the sorted names of the folders in a folder; empty if it does not exist."""
        with self._named(folder, "listed"):
            return sorted(self._files.folders(self._folder(folder)))

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes, None if it does not exist."""
        with self._named(path, "checked"):
            return self._files.size(self._at(path))

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, None if it does not exist.

        Links out of the root, pipes and devices are ignored.
        """
        with self._named(path, "read"):
            return self._files.read(self._at(path))

    def is_taken(self, path: str) -> bool:
        """Tell whether a path that `read` ignores exists as a link, a pipe or a folder."""
        with self._named(path, "checked"):
            return self._files.is_taken(self._at(path))

    def head(self, path: str, size_bytes: int) -> bytes:
        """Return the beginning of a file; reads no more.

        Raises:
            MissingFileError: It does not exist.
        """
        with self._named(path, "read"):
            return self._files.head(self._at(path), size_bytes)

    def write(self, path: str, content: bytes) -> None:
        """Write a small file, replacing an existing one."""
        with self.incoming(path) as local:
            partial = local.with_name(f".{local.name}.{uuid.uuid4().hex[:12]}{PARTIAL_SUFFIX}")
            try:
                partial.write_bytes(content)
                partial.replace(local)
            finally:
                partial.unlink(missing_ok=True)

    def create(self, path: str, content: bytes) -> bool:
        """Create a small file if it does not exist; return whether this call has created it.

        Of several concurrent calls one succeeds. A killed process may leave an empty file on a
        disk.

        Raises:
            NoConditionalWriteError: The storage does not support ``If-None-Match``.
        """
        with self._named(path, "written"):
            return self._files.create(self._at(path), content)

    @contextlib.contextmanager
    def incoming(self, path: str, size_bytes: int = 0) -> Iterator[Path]:
        """Yield a local path to be written by a rename; the file is in the store afterwards.

        Args:
            path: Path of the file.
            size_bytes: Expected size; 0 if unknown.

        Raises:
            StorageFullError: The disk has too little free space, or gets full.
        """
        with self._named(path, "written"), self._files.writing(self._at(path)) as local:
            check_free_space(local.parent, size_bytes)
            with named(lambda: str(local), "written"):
                yield local

    def check_space(self, folder: str, kept_bytes: int, passing: Sequence[int]) -> None:
        """Refuse several files that the disk has no space for, before they are transferred.

        Args:
            folder: Folder they will be written to.
            kept_bytes: Size of the file that is written all the time.
            passing: Sizes in bytes of the files that are written one after the other.

        Raises:
            StorageFullError: The disk has too little free space.
        """
        with self._named(folder, "written"):
            if self._is_local:
                local, needed_bytes = Path(self._folder(folder)), kept_bytes + sum(passing)
                local.mkdir(parents=True, exist_ok=True)
            else:  # each is removed from the disk before the next
                local = Path(tempfile.gettempdir())
                needed_bytes = kept_bytes + max(passing, default=0)
            check_free_space(local, needed_bytes)

    def sweep(self, folder: str) -> None:
        """Remove the partial files of a killed process below its own folder."""
        for path in self.sizes(folder):
            if path.endswith(PARTIAL_SUFFIX):
                self.delete(f"{folder}/{path}")

    def heal_dates(self, folder: str) -> None:
        """Set dates more than a day ahead of files below a folder to now.

        Only on a disk, where dates come from the clocks of hosts: such files would never expire.
        """
        with self._named(folder, "dated"):
            self._files.heal_dates(self._folder(folder))

    def open(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for seekable reading; for ``with``.

        Raises:
            MissingFileError: It does not exist or is not a regular file.
        """
        place = self._at(path)
        with self._named(path, "read"):
            return self._reading(path, self._files.open(place))

    def move(self, source: str, target: str) -> None:
        """Move a file: a rename on a disk, a copy inside the service in object storage.

        Raises:
            MissingFileError: The source does not exist.
        """
        with self._named(source, f"moved to {target}"):
            self._files.move(self._at(source), self._at(target))

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; ignores a missing path."""
        with self._named(path, "removed"):
            self._files.delete(self._at(path))

    @contextlib.contextmanager
    def _reading(self, path: str, file: BinaryIO) -> Iterator[BinaryIO]:
        with self._named(path, "read"), file:
            yield file

    def _named(self, path: str, done: str) -> AbstractContextManager[None]:
        """Raise storage errors with the URI, see `failures.named`."""
        whole = f"{self._root}/{path}".rstrip("/")
        return named(lambda: str(self._fs.unstrip_protocol(whole)), done)

    def _at(self, path: str) -> str:
        whole = f"{self._root}/{check_below(path)}"
        self._files.check_inside(whole.rpartition("/")[0])
        return whole

    def _folder(self, path: str) -> str:
        """Return the full path of a folder; the empty path is the root."""
        whole = self._at(path) if path else self._root
        self._files.check_inside(whole)
        return whole
