"""Knows how to keep files below one root, on a disk or in object storage, through fsspec."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fsspec.implementations.local import LocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem


class Store:
    """Files below a root; every path is relative to it and uses ``/``.

    A file appears under its path whole or not at all: on a disk by a rename, in object storage by
    an upload.
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

    def uri(self, path: str) -> str:
        """Return the full address of a path."""
        return str(self._fs.unstrip_protocol(self._at(path)))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below a folder, by path relative to it."""
        base = self._at(folder)
        self._fs.invalidate_cache(base)
        found = self._fs.find(base, detail=True)
        prefix = base.lstrip("/") + "/"
        return {path.lstrip("/").removeprefix(prefix): int(f["size"]) for path, f in found.items()}

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes, None where there is none."""
        self._fs.invalidate_cache(self._at(path))
        try:
            return int(self._fs.size(self._at(path)))
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, None where there is none."""
        try:
            content: bytes = self._fs.cat_file(self._at(path))
        except FileNotFoundError:
            return None
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a small file, replacing what is there."""
        with self.incoming(path) as local:
            partial = local.with_name(f".{local.name}.{uuid.uuid4().hex[:12]}.part")
            try:
                partial.write_bytes(content)
                partial.replace(local)
            finally:
                partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def incoming(self, path: str) -> Iterator[Path]:
        """Give a local path to be written by a rename; the file is in the store afterwards."""
        if self._is_local:
            local = Path(self._at(path))
            local.parent.mkdir(parents=True, exist_ok=True)
            yield local
            return
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / Path(path).name
            yield local
            self._fs.put_file(str(local), self._at(path))

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading at any place of it.

        Raises:
            FileNotFoundError: There is none.
        """
        file: BinaryIO = self._fs.open(self._at(path), "rb")
        return file

    def move(self, source: str, target: str) -> None:
        """Give a file another path: a rename on a disk, a copy inside the service elsewhere.

        Raises:
            FileNotFoundError: There is no source.
        """
        if self._is_local:
            Path(self._at(target)).parent.mkdir(parents=True, exist_ok=True)
            Path(self._at(source)).replace(self._at(target))
        else:
            self._fs.mv(self._at(source), self._at(target))

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._at(path), recursive=True)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"
