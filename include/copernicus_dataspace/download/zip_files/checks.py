"""Checks of the members of an untrusted zip: paths, file types, number, sizes, duplicates."""

from __future__ import annotations

import zipfile
from bisect import bisect_left, insort
from typing import Final

from copernicus_dataspace.errors import UnsafeContentError
from copernicus_dataspace.models.manifest import check_distinct, check_path, folded, folders

MAX_MEMBERS: Final = 10_000
"""Real products have 110 to 150, those of several tiles before 2017 up to 2,000."""
MAX_TOTAL_BYTES: Final = 32 * 2**30
"""Declared uncompressed size of all members; the largest real products have 8 GB."""
MAX_RATIO: Final = 200
"""Compression ratio of one member; metadata of real products reach 15."""
_SMALL_BYTES: Final = 2**20
"""Members up to this size may have any ratio: a small file of blanks is harmless."""

STREAMED: Final = 0x8
"""Flag: sizes and CRC are in a data descriptor after the data, and may be zero in the header."""
UTF8: Final = 0x800
_UNREADABLE: Final = 0x1 | 0x20 | 0x40 | 0x2000
"""Flags of encrypted and patched members."""
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_TYPE_BITS: Final = 0o170000
_REGULAR_FILE: Final = 0o100000
_FOLDER: Final = 0o040000


class MemberChecks:
    """Checks the members of one zip one after the other.

    Attributes:
        root: The single top folder of the members so far.
    """

    root: str

    def __init__(self, what: str, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        """Start without members.

        Args:
            what: Name of the zip in messages, as the subject of a sentence.
            max_total_bytes: Maximum uncompressed size of all members.
        """
        self._what = what
        self._max_total_bytes = max_total_bytes
        self._count = self._total_bytes = 0
        self._paths: dict[str, str] = {}
        self._places: list[str] = []

    def admit(self, info: zipfile.ZipInfo) -> None:
        """Check the next member by its header.

        Raises:
            UnsafeContentError: Its path leaves its folder, it is a link or a device, is outside
                the top folder, or shares its path with another member; there are too many or too
                large members; or its compression ratio is too high.
        """
        self.check_size(info)
        check_type(info, self._what)
        self._check_top_folder(info)
        if not is_folder(info):
            self._check_distinct(info.orig_filename)

    def check_size(self, info: zipfile.ZipInfo) -> None:
        """Check number, size and compression ratio, as far as the member's size is known.

        Raises:
            UnsafeContentError: See `admit`.
        """
        count, total_bytes = self._count + 1, self._total_bytes + info.file_size
        if count > MAX_MEMBERS or total_bytes > self._max_total_bytes:
            message = (
                f"{self._what} has at least {count} members of {total_bytes} bytes; "
                f"expected at most {MAX_MEMBERS} of {self._max_total_bytes}; it is refused."
            )
            raise UnsafeContentError(message)
        if info.file_size > max(_SMALL_BYTES, MAX_RATIO * info.compress_size):
            message = (
                f"{self._what}: {info.orig_filename} inflates from {info.compress_size} to "
                f"{info.file_size} bytes, expected at most {MAX_RATIO} times (zip bomb)"
            )
            raise UnsafeContentError(message)

    def add(self, info: zipfile.ZipInfo) -> None:
        """Count a checked member, whose size is now known."""
        self._count += 1
        self._total_bytes += info.file_size

    def _check_top_folder(self, info: zipfile.ZipInfo) -> None:
        top = info.orig_filename.partition("/")[0]
        if not self._count:
            self.root = top
        elif top != self.root:
            tops = sorted([self.root, top])
            message = f"{self._what} holds 2 top folders, {tops}, expected 1; it is refused."
            raise UnsafeContentError(message)

    def _check_distinct(self, path: str) -> None:
        place = folded(path)
        below = bisect_left(self._places, f"{place}/")
        rivals = [one for one in self._places[below : below + 1] if one.startswith(f"{place}/")]
        for rival in (place, *folders(place), *rivals):
            if rival in self._paths:
                check_distinct((self._paths[rival], path), self._what)
        self._paths[place] = path
        insort(self._places, place)


def check_type(info: zipfile.ZipInfo, what: str) -> None:
    """Check the path and the file type of a member.

    Raises:
        UnsafeContentError: The path leaves its folder, or it is a link or a device.
    """
    check_path(info.orig_filename.removesuffix("/"), what)
    file_type = (info.external_attr >> 16) & _TYPE_BITS
    if file_type not in {0, _FOLDER if is_folder(info) else _REGULAR_FILE}:
        message = (
            f"{what}: {info.orig_filename!r} is a link or device (file type {file_type:o}), "
            "expected a regular file; the zip is refused."
        )
        raise UnsafeContentError(message)


def unreadable(info: zipfile.ZipInfo) -> str | None:
    """Return why a member cannot be read, by its header; None if it can."""
    if info.flag_bits & _UNREADABLE:
        return "is encrypted or patched, expected plain"
    if info.compress_type not in _METHODS:
        return f"is compressed by method {info.compress_type}, expected 0 (stored) or 8"
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        return f"stores {info.compress_size} bytes, the zip says {info.file_size}"
    return None


def same_header(local: zipfile.ZipInfo, central: zipfile.ZipInfo) -> bool:
    """Tell whether a local header agrees with the central directory."""
    return _compared(local) == _compared(central)


def is_folder(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a folder."""
    return info.orig_filename.endswith("/")


def _compared(info: zipfile.ZipInfo) -> tuple[object, ...]:
    flags = info.flag_bits & (_UNREADABLE | UTF8)
    sizes = (info.compress_size, info.file_size)
    return (info.orig_filename, flags, info.compress_type, info.CRC, *sizes)
