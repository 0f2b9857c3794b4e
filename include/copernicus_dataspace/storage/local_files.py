"""Knows how files of a disk are made, moved and removed; follows no link out of their root."""

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

from copernicus_dataspace.storage.free_space import full_disk_named
from copernicus_dataspace.storage.object_storage import SCRATCH, FileInfo, FsspecFiles
from copernicus_dataspace.storage.paths import LinkGuard
from copernicus_dataspace.storage.verified_file import PARTIAL_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsspec import AbstractFileSystem

_DEAD_AFTER_S: Final = 86_400.0
"""No transfer takes a day: what is older was left by a process that was killed."""
_AHEAD_S: Final = 86_400.0
"""What was written later than so long from now, was written by a clock that was wrong."""
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ENAMETOOLONG)
"""Said of a path that is not there, or cannot be on this disk."""


class LocalFiles(FsspecFiles):
    """The files of a disk, below one root.

    What cannot be looked at is an error, never an empty folder.
    """

    def __init__(self, fs: AbstractFileSystem, root: str) -> None:
        """Use a folder of the local filesystem."""
        super().__init__(fs)
        self._inside = LinkGuard(root)

    def check_inside(self, folder: str) -> None:
        """Refuse a folder that a link leads out of the root; it need not exist.

        Raises:
            UnsafeContentError: Names the folder, and where it leads.
        """
        self._inside.check(folder)

    def listing(self, folder: str) -> dict[str, FileInfo]:
        """Return what is found of every file below a folder, by path relative to it."""
        top = f"{folder.rstrip('/')}/"
        return {
            entry.path.removeprefix(top): found
            for entry in _files_below(folder)
            if (found := _found(entry)) is not None
        }

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder; none where there is no folder."""
        return [entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]

    def read(self, place: str) -> bytes | None:
        """Return the content of a small file, None where there is none.

        A link out of the root is none, nor a pipe or a device, which may never end.
        """
        facts = _facts(Path(place).stat) if self._inside.has(place) else None
        if facts is None or not stat.S_ISREG(facts.st_mode):
            return None
        return super().read(place)

    def is_taken(self, place: str) -> bool:
        """Tell whether a link, a pipe or a folder stands in a file's place."""
        return _facts(Path(place).lstat) is not None

    def open(self, place: str) -> BinaryIO:
        """Open a file for reading at any place of it."""
        facts = _facts(Path(place).stat)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise FileNotFoundError(errno.ENOENT, "it is not there, or is no file", place)
        return super().open(place)

    def create(self, place: str, content: bytes) -> bool:
        """Write a small file where there is none; return whether this call has made it.

        A process killed meanwhile may leave an empty file.
        """
        return create(Path(place), content)

    @contextlib.contextmanager
    def writing(self, place: str) -> Iterator[Path]:
        """Give the path itself, whose folder exists; it is to be written by a rename."""
        local = Path(place)
        _make_folder(local.parent)
        yield local

    def move(self, source: str, target: str) -> None:
        """Rename."""
        move(Path(source), Path(target))

    def delete(self, place: str) -> None:
        """Remove a file, a folder, or a link and not what it leads to; nothing for none."""
        path = Path(place)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()

    def heal_dates(self, folder: str) -> None:
        """Let files below a folder that are dated far ahead count as written now."""
        for entry in _files_below(folder):
            with contextlib.suppress(FileNotFoundError):  # its run is just clearing it
                _written(Path(entry.path))


def create(path: Path, content: bytes) -> bool:
    """Write a small file where there is none; return whether this call has made it."""
    _make_folder(path.parent)
    with full_disk_named(path.parent):
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


def move(source: Path, target: Path) -> None:
    """Rename; where the two are on different disks, copy beside the target first."""
    _make_folder(target.parent)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        own = hashlib.sha256(os.fsencode(source)).hexdigest()[:12]  # the next try takes its place
        partial = target.with_name(f".{target.name}.{own}{PARTIAL_SUFFIX}")
        partial.unlink(missing_ok=True)  # were it a link, what it leads to would be overwritten
        try:
            with full_disk_named(target.parent):
                shutil.copyfile(source, partial)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        source.unlink()


def sweep_scratch() -> None:
    """Remove temporary folders that a killed process has left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):
            if _written(folder) < time.time() - _DEAD_AFTER_S:
                shutil.rmtree(folder)


def _make_folder(folder: Path) -> None:
    """Make a folder that need not exist yet; one above it may just be removed by another run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            message = "no folder can be made there"
            raise PermissionError(errno.EACCES, message, str(folder)) from error


def _written(path: Path) -> float:
    """Return when a path was last written to, in seconds.

    What is dated far ahead counts from now on, by the clock of its disk: it would never grow old.
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
    """Return what is found of a file, of a link what it leads to; None where it has just gone."""
    facts = _facts(lambda: entry.stat(follow_symlinks=False))
    if facts is None:
        return None
    of_content = _facts(entry.stat) if entry.is_symlink() else facts
    return FileInfo.of({"size": of_content.st_size if of_content else 0, "mtime": facts.st_mtime})


def _facts(look: Callable[[], os.stat_result]) -> os.stat_result | None:
    """Return what a look tells of a path; None where there is none."""
    try:
        return look()
    except OSError as error:
        if error.errno not in (*_NOT_THERE, errno.ELOOP):
            raise
        return None
