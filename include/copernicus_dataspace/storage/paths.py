"""Paths that stay below the root of a store, on any storage, whatever symbolic links there are.

What a product may name its members is narrower, see `manifest.check_path`.
"""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path
from typing import Final

from copernicus_dataspace.errors import UnsafeContentError

_NO_PART: Final = ("", ".", "..")
_FORBIDDEN: Final = re.compile(r"[\\\x00-\x1f\x7f]")
_LONGEST_PART_BYTES: Final = 255
"""Of what disks take for a name."""
_LONGEST_BYTES: Final = 1024
"""Of a key of object storage."""
_TRUSTED_S: Final = 2.0
_MOST_REMEMBERED: Final = 4096
"""Folders found inside."""


def check_below(path: str) -> str:
    """Return a relative path with ``/`` between its parts, as it is.

    Raises:
        UnsafeContentError: It is absolute or might leave its folder, is too long for a disk or for
            object storage, or holds characters that are read differently elsewhere.
    """
    fault = _fault(path) if isinstance(path, str) else "is no text"
    if fault:
        message = f"path {str(path)[:100]!r} {fault}; it is refused."
        raise UnsafeContentError(message)
    return path


def _fault(path: str) -> str:
    parts = path.split("/")
    if any(part in _NO_PART for part in parts):
        return "is absolute, or has a part that is empty, . or .."
    if _FORBIDDEN.search(path):
        return "holds a backslash or a control character"
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "is no Unicode text"
    if max(sizes) > _LONGEST_PART_BYTES or sum(sizes) + len(sizes) > _LONGEST_BYTES:
        return f"is longer than {_LONGEST_PART_BYTES} bytes a part or {_LONGEST_BYTES} in all"
    return ""


class LinkGuard:
    """The links below one root, which itself may be one.

    A folder that was found inside counts as that for some seconds: to follow every part of every
    path anew takes longer than to write a small file.
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

    def has(self, file: str) -> bool:
        """Tell whether a file, whose folder is inside, is no link that leads out."""
        return not Path(file).is_symlink() or self._holds(file)

    def _holds(self, path: str) -> bool:
        top, real = os.path.realpath(self._root), os.path.realpath(path)
        return os.path.commonpath([top, real]) == top
