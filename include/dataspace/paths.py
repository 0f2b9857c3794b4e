"""Knows which paths stay below the root of a store, on any storage; touches none.

What a product may name its members is narrower, see `manifest.check_path`.
"""

from __future__ import annotations

import re
from typing import Final

from dataspace.errors import UnsafeContentError

_NO_PART: Final = ("", ".", "..")
_FORBIDDEN: Final = re.compile(r"[\\\x00-\x1f\x7f]")
_LONGEST_PART_BYTES: Final = 255
"""Of what disks take for a name."""
_LONGEST_BYTES: Final = 1024
"""Of a key of object storage."""


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
