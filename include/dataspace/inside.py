"""Knows whether a path of a disk lies below a root, whatever links there are."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Final

from dataspace.errors import UnsafeContentError

_TRUSTED_S: Final = 2.0
_MOST_REMEMBERED: Final = 4096
"""Folders found inside."""


class Inside:
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
