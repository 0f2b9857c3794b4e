"""Knows how files of a disk are made, moved and removed; follows no link out of their root."""

from __future__ import annotations

import contextlib
import errno
import hashlib
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


def check_inside(root: str, folder: str) -> None:
    """Refuse a folder that a link leads out of its root; neither need exist.

    Raises:
        UnsafeContentError: Names the folder, and where it leads.
    """
    top, real = os.path.realpath(root or "/"), os.path.realpath(folder)
    if os.path.commonpath([top, real]) != top:
        message = (
            f"{folder} leads out of the output, to {real}; it is refused. Remove the link, or "
            "mount the other disk there."
        )
        raise UnsafeContentError(message)


def is_own_file(root: str, path: str) -> bool:
    """Tell whether a path is a regular file, and no link out of the root."""
    top, real = os.path.realpath(root or "/"), os.path.realpath(path)
    return os.path.commonpath([top, real]) == top and Path(real).is_file()


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
