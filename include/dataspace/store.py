"""Knows how to keep files below one root, on a disk or in object storage, through fsspec."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from dataspace import local_files
from dataspace.paths import check_below
from dataspace.room import Room, full_disk_named, size_below, size_of_those
from dataspace.transfer import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fsspec import AbstractFileSystem

_WRITTEN: Final = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""Names under which filesystems tell when a file was written, or what is in it."""
_SCRATCH: Final = "copernicus-scratch-"
"""Begins the names of temporary folders."""
_THREADS: Final = 16
_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing tells of a file.

    Attributes:
        version: Differs where the file was written anew, as far as the storage can tell.
    """

    size_bytes: int
    version: str


class Store:
    """Files below a root; every path is relative to it, uses ``/`` and stays below it.

    A path that might leave the root is refused as `UnsafeContentError`, and so is a folder below it
    that is a link to elsewhere; the root itself may be one. No call expands ``*``, ``?`` or ``[``:
    each means one object, whatever it is called. A file appears under its path whole or not at all:
    on a disk by a rename, in object storage by an upload.
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
        self._inside = local_files.Inside(self._root)
        self._room = Room()
        if not self._is_local:
            local_files.sweep_scratch(_SCRATCH)

    def uri(self, path: str) -> str:
        """Return the full address of a path."""
        return str(self._fs.unstrip_protocol(self._at(path)))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of every file below a folder, by path relative to it."""
        return {path: found.size_bytes for path, found in self.listing(folder).items()}

    def listing(self, folder: str) -> dict[str, Found]:
        """Return what is found of every file below a folder, by path relative to it."""
        base = self._folder(folder)
        self._fs.invalidate_cache(base)
        found = self._fs.find(base, detail=True)
        prefix = base.lstrip("/") + "/"
        return {path.lstrip("/").removeprefix(prefix): _found(f) for path, f in found.items()}

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none where there is no folder."""
        base = self._folder(folder)
        self._fs.invalidate_cache(base)
        try:
            inside = self._fs.ls(base, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = (one["name"] for one in inside if one["type"] == "directory")
        return sorted(filter(None, (name.rstrip("/").rpartition("/")[2] for name in found)))

    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes, None where there is none."""
        self._fs.invalidate_cache(self._at(path))
        try:
            return int(self._fs.size(self._at(path)))
        except FileNotFoundError:
            return None

    def read(self, path: str) -> bytes | None:
        """Return the content of a small file, None where there is none.

        A link out of the root is none, nor a pipe or a device, which may never end.
        """
        place = self._at(path)
        if self._is_local and not self._inside.is_file(place):
            return None
        try:
            content: bytes = self._fs.cat_file(place)
        except _NO_FILE:
            return None
        return content

    def is_taken(self, path: str) -> bool:
        """Tell whether a path that `read` finds nothing at has a link, a pipe or a folder there."""
        return self._is_local and os.path.lexists(self._at(path))

    def head(self, path: str, size_bytes: int) -> bytes:
        """Return the beginning of a file, no more of which is read.

        Raises:
            FileNotFoundError: There is none.
        """
        content: bytes = self._fs.cat_file(self._at(path), start=0, end=size_bytes)
        return content

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

        Of several that try at once, one succeeds: on a disk, and in object storage that knows
        ``If-None-Match``. A process killed meanwhile may leave an empty file on a disk.
        """
        if self._is_local:
            return local_files.create(Path(self._at(path)), content)
        try:
            self._fs.pipe_file(self._at(path), content, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if self.size(path) is not None:  # services word their refusal differently
                return False
            if error.errno != errno.ENOSYS:
                raise
            self.write(path, content)
        return True

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
        place = self._at(path)
        with contextlib.ExitStack() as stack:
            if self._is_local:
                local = Path(place)
                local.parent.mkdir(parents=True, exist_ok=True)
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=_SCRATCH))
                local = Path(folder) / Path(path).name
            partial = functools.partial(size_of_those, local.parent, f".{local.name}.")
            stack.enter_context(self._room.promised(local.parent, size_bytes, partial))
            with full_disk_named(local.parent):
                yield local
            if not self._is_local:
                self._fs.put_file(str(local), place)

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
        if not self._is_local:  # each leaves the disk before the next one comes
            scratch, most_bytes = Path(tempfile.gettempdir()), kept_bytes + max(passing, default=0)
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

    def sweep_old(self, folder: str, older_than_s: float) -> None:
        """Remove what lies two levels below a folder and was not written to for so long.

        Only on a disk; object storage has rules of its own for that.
        """
        if not self._is_local:
            return
        for old in Path(self._folder(folder)).glob("*/*"):
            with contextlib.suppress(FileNotFoundError):  # its run is just clearing it
                changed = (path.stat().st_mtime for path in (old, *old.rglob("*")))
                if max(changed) < time.time() - older_than_s:
                    shutil.rmtree(old) if old.is_dir() else old.unlink()

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading at any place of it.

        Raises:
            FileNotFoundError: There is none, or a pipe or a device.
        """
        place = self._at(path)
        if self._is_local and not Path(place).is_file():
            raise FileNotFoundError(place)
        file: BinaryIO = self._fs.open(place, "rb")
        return file

    def move(self, source: str, target: str) -> None:
        """Give a file another path: a rename on a disk, a copy inside the service elsewhere.

        Raises:
            FileNotFoundError: There is no source.
        """
        if self._is_local:
            local_files.move(Path(self._at(source)), Path(self._at(target)))
            return
        try:
            self._fs.cp_file(self._at(source), self._at(target))
        except NotImplementedError:  # such as SFTP, which can rename
            self._fs.mv(self._at(source), self._at(target))
        else:
            self._fs.rm_file(self._at(source))

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none.

        Object by object: a filesystem's own `rm` takes a path for a pattern.
        """
        if self._is_local:
            local_files.delete(Path(self._at(path)))
            return
        base = self._at(path)
        self._fs.invalidate_cache(base)
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._remove, self._fs.find(base)))
        if not isinstance(self._fs, AsyncFileSystem):  # which are all but object storage
            folders = self._fs.find(base, withdirs=True)
            for folder in sorted(folders, key=len, reverse=True):
                with contextlib.suppress(OSError):
                    self._fs.rmdir(folder)

    def _remove(self, one: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(one)

    def _at(self, path: str) -> str:
        whole = f"{self._root}/{check_below(path)}"
        if self._is_local:
            self._inside.check(whole.rpartition("/")[0])
        return whole

    def _folder(self, path: str) -> str:
        """Return where a folder is to be looked into; the empty path is the root's own."""
        whole = self._at(path) if path else self._root
        if self._is_local:
            self._inside.check(whole)
        return whole


def _found(info: Mapping[str, Any]) -> Found:
    written = next((info[name] for name in _WRITTEN if info.get(name)), "")
    return Found(int(info["size"]), f"{info['size']} {written}")
