"""Files on any fsspec filesystem, such as object storage.

Paths and exceptions are those of the filesystem.
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
"""Prefix of temporary folders."""

_WRITTEN: Final = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "created")
"""Fields with which filesystems identify a version of a file."""
_WHEN: Final = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Fields with the modification date."""
_THREADS: Final = 16
_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_LARGE: Final = 100 << 20
"""Minimum size of a file that s3fs uploads in parts."""
_ALL: Final = 5 << 30
"""Maximum size of an object that S3 accepts in one part."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file in a listing.

    Attributes:
        version: Changes when the file is written, as far as the storage can tell.
        written: Modification date by the storage's clock; None if unknown.
    """

    size_bytes: int
    version: str
    written: datetime | None = None

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> FileInfo:
        """Return the file of an entry of a listing."""
        what = next((info[name] for name in _WRITTEN if info.get(name)), "")
        when = next((info[name] for name in _WHEN if info.get(name)), None)
        return cls(int(info["size"]), f"{info['size']} {what}", _instant(when))


class FsspecFiles:
    """The files of an fsspec filesystem."""

    def __init__(self, fs: AbstractFileSystem) -> None:
        """Use a filesystem."""
        self._fs = fs

    def check_inside(self, folder: str) -> None:
        """Do nothing: only folders of a disk can be links."""

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return every file below a folder, by path relative to it."""
        found = self._below(folder)
        prefix = folder.lstrip("/") + "/"
        return {path.lstrip("/").removeprefix(prefix): FileInfo.of(f) for path, f in found.items()}

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder; empty if it does not exist."""
        self._fs.invalidate_cache(folder)
        try:
            inside = self._fs.ls(folder, detail=True)
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return []
        found = (one["name"] for one in inside if one["type"] == "directory")
        return [*filter(None, (name.rstrip("/").rpartition("/")[2] for name in found))]

    def size(self, place: str) -> int | None:
        """Return the size of a file in bytes, None if it does not exist."""
        self._fs.invalidate_cache(place)
        try:
            return int(self._fs.size(place))
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return None

    def read(self, place: str) -> bytes | None:
        """Return the content of a small file, None if it does not exist."""
        try:
            content: bytes = self._fs.cat_file(place)
        except _NO_FILE as error:
            _refuse_no_bucket(error)
            return None
        except PermissionError as error:
            if (
                FailureCause.of(error).advice is None
            ):  # the error is of HEAD, which has no error code
                with contextlib.suppress(*_NO_FILE):
                    self.head(place, 1)
            raise
        return content

    def is_taken(self, place: str) -> bool:  # noqa: ARG002 - of a disk it may be
        """Tell whether a path exists as something other than a file."""
        return False

    def head(self, place: str, size_bytes: int) -> bytes:
        """Return the beginning of a file; reads no more."""
        content: bytes = self._fs.cat_file(place, start=0, end=size_bytes)
        return content

    def open(self, place: str) -> BinaryIO:
        """Open a file for seekable reading."""
        file: BinaryIO = self._fs.open(place, "rb")
        return file

    def create(self, place: str, content: bytes) -> bool:
        """Create a small file if it does not exist; return whether this call has created it.

        Raises:
            NoConditionalWriteError: The storage does not support ``If-None-Match`` or the like.
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
                f"{self._fs.unstrip_protocol(place)} cannot be written conditionally "
                f"(If-None-Match was refused: {error})."
            )
            raise NoConditionalWriteError(message) from error
        return True

    @contextlib.contextmanager
    def writing(self, place: str) -> Iterator[Path]:
        """Yield a local path to be written by a rename; the file is uploaded afterwards."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as folder:
            local = Path(folder) / place.rpartition("/")[2]
            yield local
            self._put(local, place)

    def move(self, source: str, target: str) -> None:
        """Move a file by a copy inside the storage service."""
        try:
            self._fs.cp_file(source, target)
        except NotImplementedError:  # such as SFTP, which can rename
            self._fs.mv(source, target)
        else:
            self._fs.rm_file(source)

    def delete(self, place: str) -> None:
        """Remove a file or a whole folder; ignores a missing path.

        Object by object: a filesystem's own `rm` treats a path as a pattern and uses multi-object
        deletes, which not every service supports.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._remove, self._below(place)))
        if not isinstance(self._fs, AsyncFileSystem):  # everything except object storage
            folders = self._fs.find(place, withdirs=True)
            for folder in sorted(folders, key=len, reverse=True):
                with contextlib.suppress(OSError):
                    self._fs.rmdir(folder)

    def heal_dates(self, folder: str) -> None:
        """Do nothing: object storage uses its own clock."""

    def _below(self, folder: str) -> dict[str, dict[str, Any]]:
        """Return the entries of all files below a folder, by path.

        A folder that cannot be listed is an error; fsspec's own walk, which most filesystems
        except object storage use, would ignore it.
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
        """Upload a file; a large one in parts, unless the service does not support that."""
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
    """Raise the error if it says that the bucket is missing."""
    if FailureCause.of(error).has_no_bucket:
        raise error


def _instant(value: Any) -> datetime | None:
    """Parse a date in any of the forms that filesystems use."""
    try:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return parse_instant(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
