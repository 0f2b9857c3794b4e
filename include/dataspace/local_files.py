"""Knows how files of a disk are made, moved and removed; follows no link out of their root."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from dataspace.errors import UnsafeContentError
from dataspace.room import full_disk_named
from dataspace.transfer import PARTIAL_SUFFIX

_DEAD_AFTER_S: Final = 86_400.0
"""No transfer takes a day: what is older was left by a process that was killed."""
_TRUSTED_S: Final = 2.0
_MOST_REMEMBERED: Final = 4096
"""Folders found inside."""


class Inside:
    """Tells which folders and files lie below a root, whatever links there are.

    Only links below the root matter; the root may be one. A folder that was found inside counts as
    that for some seconds: looking at every link of every path anew costs more than writing a file.
    """

    def __init__(self, root: str) -> None:
        """Watch over a folder."""
        self._root = root or "/"
        self._found_at: dict[str, float] = {}

    def check(self, folder: str) -> None:
        """Refuse a folder that a link leads out of the root; neither need exist.

        Raises:
            UnsafeContentError: Names the folder, and where it leads.
        """
        now = time.monotonic()
        if now < self._found_at.get(folder, -math.inf) + _TRUSTED_S:
            return
        if not self._holds(folder):
            message = (
                f"{folder} leads out of the output, to {os.path.realpath(folder)}; it is refused. "
                "Remove the link, or mount the other disk there."
            )
            raise UnsafeContentError(message)
        if len(self._found_at) >= _MOST_REMEMBERED:
            self._found_at.clear()
        self._found_at[folder] = now

    def is_file(self, path: str) -> bool:
        """Tell whether a path, whose folder is inside, is a regular file and no link out of it."""
        if Path(path).is_symlink() and not self._holds(path):
            return False
        return Path(path).is_file()

    def _holds(self, path: str) -> bool:
        top, real = os.path.realpath(self._root), os.path.realpath(path)
        return os.path.commonpath([top, real]) == top


def create(path: Path, content: bytes) -> bool:
    """Write a small file where there is none; return whether this call has made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
    target.parent.mkdir(parents=True, exist_ok=True)
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


def delete(path: Path) -> None:
    """Remove a file, a folder, or a link and not what it leads to; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def sweep_scratch(prefix: str) -> None:
    """Remove temporary folders of that name which a killed process has left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < time.time() - _DEAD_AFTER_S:
                shutil.rmtree(folder)
