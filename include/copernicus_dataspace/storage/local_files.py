"""Files on a disk; follows no link out of the root."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from copernicus_dataspace.errors import StorageFullError
from copernicus_dataspace.storage.object_storage import SCRATCH, FileInfo, FsspecFiles
from copernicus_dataspace.storage.paths import LinkGuard
from copernicus_dataspace.storage.verified_file import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsspec import AbstractFileSystem

_DEAD_AFTER_S: Final = 86_400.0
"""No transfer takes a day: older files were left by a killed process."""
_AHEAD_S: Final = 86_400.0
"""Dates further ahead come from a wrong clock."""
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ENAMETOOLONG)
"""errno of a path that does not exist or cannot exist on this disk."""


class LocalFiles(FsspecFiles):
    """The files of a disk below one root.

    A folder that cannot be listed is an error, never empty.
    """

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        """Use a folder of the local filesystem."""
        super().__init__(fs)
        self._inside = LinkGuard(root)

    def check_inside(self, folder: str) -> None:
        """Refuse a folder that a link leads out of the root; it need not exist.

        Raises:
            UnsafeContentError: Names the folder and its target.
        """
        self._inside.check(folder)

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return every file below a folder, by path relative to it."""
        top = f"{folder.rstrip('/')}/"
        return {
            entry.path.removeprefix(top): found
            for entry in _files_below(folder)
            if (found := _found(entry)) is not None
        }

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder; empty if it does not exist."""
        return [entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]

    def read(self, place: str) -> bytes | None:
        """Return the content of a small file, None if it does not exist.

        Links out of the root, pipes and devices are ignored.
        """
        facts = _facts(Path(place).stat) if self._inside.has(place) else None
        if facts is None or not stat.S_ISREG(facts.st_mode):
            return None
        return super().read(place)

    def is_taken(self, place: str) -> bool:
        """Tell whether a path exists, also as a link, a pipe or a folder."""
        return _facts(Path(place).lstat) is not None

    def open(self, place: str) -> BinaryIO:
        """Open a file for seekable reading."""
        facts = _facts(Path(place).stat)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise FileNotFoundError(
                errno.ENOENT, "it does not exist or is not a regular file", place
            )
        return super().open(place)

    def create(self, place: str, content: bytes) -> bool:
        """Create a small file if it does not exist; return whether this call has created it.

        A killed process may leave an empty file.
        """
        path = Path(place)
        _make_folder(path.parent)
        try:
            file = path.open("xb")
        except FileExistsError:
            return False
        try:
            with file:
                file.write(content)
        except OSError:
            path.unlink()
            raise
        return True

    @contextlib.contextmanager
    def writing(self, place: str) -> Iterator[Path]:
        """Yield the path itself, in an existing folder; to be written by a rename."""
        local = Path(place)
        _make_folder(local.parent)
        yield local

    def move(self, source: str, target: str) -> None:
        """Rename a file."""
        move(Path(source), Path(target))

    def delete(self, place: str) -> None:
        """Remove a file, a folder, or a link (not its target); ignores a missing path."""
        path = Path(place)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()

    def heal_dates(self, folder: str) -> None:
        """Set dates far ahead of files below a folder to now."""
        for entry in _files_below(folder):
            with contextlib.suppress(FileNotFoundError):  # its run is removing it right now
                _written(Path(entry.path))


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


def move(source: Path, target: Path) -> None:
    """Rename; between different disks copy beside the target first."""
    _make_folder(target.parent)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        own = hashlib.sha256(os.fsencode(source)).hexdigest()[:12]  # replaced by the next attempt
        partial = target.with_name(f".{target.name}.{own}{PARTIAL_SUFFIX}")
        partial.unlink(missing_ok=True)  # if it is a link, its target must not be overwritten
        try:
            shutil.copyfile(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        source.unlink()


def sweep_scratch() -> None:
    """Remove temporary folders of killed processes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if _written(folder) < time.time() - _DEAD_AFTER_S:
                shutil.rmtree(folder)


def _make_folder(folder: Path) -> None:
    """Create a folder; retries once, as another run may just be removing a parent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            message = "no folder can be created there"
            raise PermissionError(errno.EACCES, message, str(folder)) from error


def _written(path: Path) -> float:
    """Return when a path was last modified, in seconds.

    Dates far ahead are set to now by the clock of the disk, as such files would never expire.
    """
    written = path.lstat().st_mtime
    if written > time.time() + _AHEAD_S:
        os.utime(path, follow_symlinks=False)
        return path.lstat().st_mtime
    return written


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or "/") as entries:
            return list(entries)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return []


def _files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path)
        else:
            yield entry


def _found(entry: os.DirEntry[str]) -> FileInfo | None:
    """Return size and date of a file (of a link's target); None if it was removed meanwhile."""
    facts = _facts(lambda: entry.stat(follow_symlinks=False))
    if facts is None:
        return None
    of_content = _facts(entry.stat) if entry.is_symlink() else facts
    return FileInfo.of({"size": of_content.st_size if of_content else 0, "mtime": facts.st_mtime})


def _facts(look: Callable[[], os.stat_result]) -> os.stat_result | None:
    """Return the stat result of a path; None if it does not exist."""
    try:
        return look()
    except OSError as error:
        if error.errno not in (*_NOT_THERE, errno.ELOOP):
            raise
        return None
