"""Checks that paths stay below the root of a store, also through symbolic links.

The rules for the members of a product are stricter, see `manifest.check_path`.
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
"""Limit of disks for a name."""
_LONGEST_BYTES: Final = 1024
"""Limit of object storage for a key."""
_TRUSTED_S: Final = 2.0
_MOST_REMEMBERED: Final = 4096
"""Size of the cache of checked folders."""


def check_below(path: str) -> str:
    """Return a valid relative path unchanged.

    Raises:
        UnsafeContentError: It is absolute or may leave its folder, is too long for a disk or for
            object storage, or has characters that are ambiguous on some systems.
    """
    fault = _fault(path) if isinstance(path, str) else "is not a string"
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
        return "is not valid Unicode"
    if max(sizes) > _LONGEST_PART_BYTES or sum(sizes) + len(sizes) > _LONGEST_BYTES:
        return f"is longer than {_LONGEST_PART_BYTES} bytes a part or {_LONGEST_BYTES} in all"
    return ""


class LinkGuard:
    """Checks links below a root, which may itself be a link.

    Results are cached for some seconds: resolving every path takes longer than writing a small
    file.
    """

    def __init__(self, root: str) -> None:
        """Guard a folder."""
        self._root = root or "/"
        self._found_at: dict[str, float] = {}

    def check(self, folder: str) -> None:
        """Refuse a folder that a link leads out of the root; neither need exist.

        Raises:
            UnsafeContentError: Names the folder and its target.
        """
        now = time.monotonic()
        if now < self._found_at.get(folder, -math.inf) + _TRUSTED_S:
            return
        if not self._holds(folder):
            message = (
                f"{folder} is a link out of the output to {os.path.realpath(folder)}; refused. "
                "Remove the link, or mount the other disk there."
            )
            raise UnsafeContentError(message)
        if len(self._found_at) >= _MOST_REMEMBERED:
            self._found_at.clear()
        self._found_at[folder] = now

    def has(self, file: str) -> bool:
        """Tell whether a file in a checked folder is not a link out of the root."""
        return not Path(file).is_symlink() or self._holds(file)

    def _holds(self, path: str) -> bool:
        top, real = os.path.realpath(self._root), os.path.realpath(path)
        return os.path.commonpath([top, real]) == top
