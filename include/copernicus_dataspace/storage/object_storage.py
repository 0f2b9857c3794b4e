"""Knows how files are kept by any filesystem of fsspec, such as object storage.

Paths are whole, as that filesystem writes them; errors are its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from fsspec.asyn import AsyncFileSystem

from copernicus_dataspace.errors import NoConditionalWriteError
from copernicus_dataspace.models.time_range import parse_instant
from copernicus_dataspace.storage.failures import FailureCause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fsspec import AbstractFileSystem

SCRATCH: Final = "copernicus-scratch-"
"""Begins the names of temporary folders."""

_WRITTEN: Final = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""Names under which filesystems tell when a file was written, or what is in it."""
_WHEN: Final = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Those under which they tell when."""
_THREADS: Final = 16
_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LARGE: Final = 100 << 20
"""Least bytes of a file that s3fs uploads in parts."""
_ALL: Final = 5 << 30
"""Most bytes of an object that S3 takes in one part."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What a listing tells of a file.

    Attributes:
        version: Differs where the file was written anew, as far as the storage can tell.
        written: When that was, by the storage's clock; None where it does not tell.
    """

    size_bytes: int
    version: str
    written: datetime | None = None

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> FileInfo:
        """Return what the entry of a listing tells."""
        what = next((info[name] for name in _WRITTEN if info.get(name)), "")
        when = next((info[name] for name in _WHEN if info.get(name)), None)
        return cls(int(info["size"]), f"{info['size']} {what}", _instant(when))


class FsspecFiles:
    """The files of a filesystem of fsspec."""

    def __init__(self, fs: AbstractFileSystem) -> None:
        """Use a filesystem."""
        self._fs = fs

    def check_inside(self, folder: str) -> None:
        """Do nothing: only folders of a disk can be links."""

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return what is found of every file below a folder, by path relative to it."""
        found = self._below(folder)
        prefix = folder.lstrip("/") + "/"
        return {path.lstrip("/").removeprefix(prefix): FileInfo.of(f) for path, f in found.items()}

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder; none where there is no folder."""
        self._fs.invalidate_cache(folder)
        try:
            inside = self._fs.ls(folder, detail=True)
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return []
        found = (one["name"] for one in inside if one["type"] == "directory")
        return [*filter(None, (name.rstrip("/").rpartition("/")[2] for name in found))]

    def size(self, place: str) -> int | None:
        """Return the size of a file in bytes, None where there is none."""
        self._fs.invalidate_cache(place)
        try:
            return int(self._fs.size(place))
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return None

    def read(self, place: str) -> bytes | None:
        """Return the content of a small file, None where there is none."""
        try:
            content: bytes = self._fs.cat_file(place)
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return None
        except PermissionError as error:
            if (
                FailureCause.of(error).advice is None
            ):  # HEAD came first, and its answer has no words
                with contextlib.suppress(*_NO_FILE):
                    self.head(place, 1)
            raise
        return content

    def is_taken(self, place: str) -> bool:  # noqa: ARG002 - of a disk it may be
        """Tell whether something else than a file stands in a file's place."""
        return False

    def head(self, place: str, size_bytes: int) -> bytes:
        """Return the beginning of a file, no more of which is read."""
        content: bytes = self._fs.cat_file(place, start=0, end=size_bytes)
        return content

    def open(self, place: str) -> BinaryIO:
        """Open a file for reading at any place of it."""
        file: BinaryIO = self._fs.open(place, "rb")
        return file

    def create(self, place: str, content: bytes) -> bool:
        """Write a small file where there is none; return whether this call has made it.

        Raises:
            NoConditionalWriteError: The storage does not know ``If-None-Match``, or its like.
        """
        try:
            self._fs.pipe_file(place, content, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            cause = FailureCause.of(error)
            if cause.is_taken:
                return False
            if cause.has_no_bucket or not cause.refuses_form:
                raise
            message = (
                f"{self._fs.unstrip_protocol(place)} cannot be written only where there is none "
                f"(If-None-Match was refused: {error})."
            )
            raise NoConditionalWriteError(message) from error
        return True

    @contextlib.contextmanager
    def writing(self, place: str) -> Iterator[Path]:
        """Give a local path to be written by a rename; the file is in its place afterwards."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
            local = Path(folder) / place.rpartition("/")[2]
            yield local
            self._put(local, place)

    def move(self, source: str, target: str) -> None:
        """Give a file another path, by a copy inside the service."""
        try:
            self._fs.cp_file(source, target)
        except NotImplementedError:  # such as SFTP, which can rename
            self._fs.mv(source, target)
        else:
            self._fs.rm_file(source)

    def delete(self, place: str) -> None:
        """Remove a file or a whole folder; nothing happens where there is none.

        Object by object: a filesystem's own `rm` takes a path for a pattern, and asks object
        storage for many at once, which not every service knows.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._remove, self._below(place)))
        if not isinstance(self._fs, AsyncFileSystem):  # which are all but object storage
            folders = self._fs.find(place, withdirs=True)
            for folder in sorted(folders, key=len, reverse=True):
                with contextlib.suppress(OSError):
                    self._fs.rmdir(folder)

    def heal_dates(self, folder: str) -> None:
        """Do nothing: object storage dates files by its own clock."""

    def _below(self, folder: str) -> dict[str, dict[str, Any]]:
        """Return what a listing tells of all files below a folder, by path.

        What cannot be listed is an error. To fsspec's own walk, which most filesystems use that are
        no object storage, it would be empty.
        """
        self._fs.invalidate_cache(folder)
        if not isinstance(self._fs, AsyncFileSystem):
            return dict(self._walked(folder))
        found: dict[str, dict[str, Any]] = self._fs.find(folder, detail=True)
        return found

    def _walked(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            entries = self._fs.ls(folder, detail=True)
        except _NO_FILE:
            return
        for entry in entries:
            name = entry["name"].rstrip("/")
            if entry["type"] != "directory":
                yield name, entry
            elif name.strip("/") != folder.strip("/"):
                yield from self._walked(name)

    def _put(self, local: Path, place: str) -> None:
        """Upload a file: a large one in parts, and in one where S3 does not know parts."""
        has_parts = "s3" in self._fs.protocol and local.stat().st_size >= _LARGE
        try:
            self._fs.put_file(str(local), place)
        except Exception as error:
            if not has_parts or not FailureCause.of(error).lacks_operation:
                raise
            self._fs.put_file(str(local), place, chunksize=_ALL)

    def _remove(self, one: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(one)


def _refuse_no_bucket(error: Exception) -> None:
    """Pass an error on that says more than that a file is not there."""
    if FailureCause.of(error).has_no_bucket:
        raise error


def _instant(value: Any) -> datetime | None:
    """Return the instant of any of the forms in which filesystems give one."""
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return parse_instant(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
