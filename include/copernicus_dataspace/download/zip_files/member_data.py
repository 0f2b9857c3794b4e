"""Reads the bytes of one member of a zip while they pass, and finds where they end."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.members import (
    CHUNK_BYTES,
    METHODS,
    STREAMED,
    UNREADABLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from copernicus_dataspace.download.zip_files.records import Source
    from copernicus_dataspace.errors import CorruptDownloadError

    CheckSize = Callable[[zipfile.ZipInfo], None]

_WINDOW_BYTES: Final = 2**16
"""Inflated at once, or searched at once for the end of a member."""
_FOLLOWING: Final = re.compile(rb"PK(?:\x03\x04|\x01\x02)")
"""What can stand behind a member: the next one, or the table."""
_DESCRIPTORS: Final = tuple(
    (signature, struct.Struct(layout))
    for signature in (b"PK\x07\x08", b"")
    for layout in ("<LLL", "<LQQ")
)
"""CRC, size as stored and size inflated, behind a member; nothing tells which of the four."""
_LONGEST_DESCRIPTOR_BYTES: Final = 4 + 20 + 4
"""With the signature of what follows it."""


class Body:
    """The bytes of a member; of this class, if it is stored and its size known.

    Whatever is wrong with them raises CorruptDownloadError.
    """

    def __init__(self, source: Source, info: zipfile.ZipInfo, check_size: CheckSize) -> None:
        """Begin behind the header.

        Args:
            source: What the bytes are read from.
            info: The header; sizes and CRC that stand behind the bytes are filled in as they pass.
            check_size: Refuses a member whose size was unknown, as it grows.
        """
        self._source = source
        self._info = info
        self._check_size = check_size
        self._is_known = bool(info.compress_size) or not info.flag_bits & STREAMED
        self._stored = self._inflated = self._crc = 0
        self._is_verified = self._is_gone = False

    def read(self) -> bytes:
        """Return the next inflated bytes; none at the end, where they are verified.

        Raises:
            ValueError: They have passed.
        """
        if self._is_gone:
            message = f"{self._info.orig_filename} was to be read before the next member"
            raise ValueError(message)
        if self._is_verified:
            return b""
        piece = self._next()
        self._inflated += len(piece)
        self._compare_sizes(at_end=not piece)
        self._crc = zlib.crc32(piece, self._crc)
        if not piece:
            self._verify()
        return piece

    def pass_rest(self) -> None:
        """Pass what nobody read, without looking at it where its size is known."""
        if self._is_known and not self._is_verified:
            self._source.skip(self._info.compress_size - self._stored)
            self._verify()
        while self.read():
            pass
        self._is_gone = True

    def _next(self) -> bytes:
        piece = self._source.piece(min(self._info.compress_size - self._stored, CHUNK_BYTES))
        self._stored += len(piece)
        return piece

    def _compare_sizes(self, *, at_end: bool) -> None:
        info, sizes = self._info, (self._stored, self._inflated)
        if not self._is_known:
            info.compress_size, info.file_size = sizes
            self._check_size(info)
        declared = (info.compress_size, info.file_size)
        if self._inflated > info.file_size or (at_end and sizes != declared):
            message = f"inflates from {sizes[0]} to {sizes[1]} bytes, the zip says {declared}"
            raise self._corrupt(message)

    def _verify(self) -> None:
        crc, length = self._info.CRC, 0
        if self._info.flag_bits & STREAMED:
            crc, length = self._descriptor()
        if self._inflated == self._info.file_size and self._crc != crc:
            raise self._corrupt(f"has the CRC-32 {self._crc:08x}, the zip says {crc:08x}")
        self._source.skip(length)
        self._info.CRC = crc
        self._is_verified = True

    def _descriptor(self) -> tuple[int, int]:
        """Return the CRC that stands here, and the length of what holds it."""
        tail = self._source.peek(_LONGEST_DESCRIPTOR_BYTES)
        for signature, layout in _DESCRIPTORS:
            end = len(signature) + layout.size
            if tail.startswith(signature) and _FOLLOWING.match(tail, end):
                crc, *sizes = layout.unpack_from(tail, len(signature))
                if sizes == [self._info.compress_size, self._info.file_size]:
                    return crc, end
        raise self._corrupt("is not followed by its sizes and by what comes next")

    def _corrupt(self, problem: str) -> CorruptDownloadError:
        return self._source.corrupt(f"{self._info.orig_filename!r} {problem}")


class _Deflated(Body):
    """Ends where the deflated stream does."""

    def __init__(self, source: Source, info: zipfile.ZipInfo, check_size: CheckSize) -> None:
        super().__init__(source, info, check_size)
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def _next(self) -> bytes:
        while not self._inflater.eof:
            left = self._info.compress_size - self._stored if self._is_known else _WINDOW_BYTES
            data = self._source.piece(min(left, _WINDOW_BYTES))
            try:
                piece = self._inflater.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                self._source.unread(data)
                raise self._corrupt(f"cannot be inflated: {error}") from error
            unused = self._inflater.unconsumed_tail + self._inflater.unused_data
            self._source.unread(unused)
            self._stored += len(data) - len(unused)
            if piece:
                return piece
            if not data:
                raise self._corrupt(f"does not end within {self._stored} deflated bytes")
        return b""


class _Scanned(Body):
    """Stored, of unknown size: ends where CRC and sizes stand that are right for what passed.

    A member that holds such bytes itself (a descriptor of nothing, at its beginning) is cut there,
    which the table of members then contradicts.
    """

    def _next(self) -> bytes:
        window = self._source.peek(_WINDOW_BYTES)
        end = self._end(window)
        if end is None:
            if len(window) < _WINDOW_BYTES:
                raise self._corrupt("does not end")
            end = len(window) - _LONGEST_DESCRIPTOR_BYTES + 1
        self._stored += end
        return self._source.take(end)

    def _end(self, window: bytes) -> int | None:
        for following in _FOLLOWING.finditer(window):
            for signature, layout in _DESCRIPTORS:
                start = following.start() - layout.size - len(signature)
                if start < 0 or not window.startswith(signature, start):
                    continue
                crc, *sizes = layout.unpack_from(window, start + len(signature))
                is_right = sizes == [self._inflated + start] * 2
                if is_right and crc == zlib.crc32(window[:start], self._crc):
                    return start
        return None


def body(source: Source, info: zipfile.ZipInfo, check_size: CheckSize) -> Body:
    """Return the bytes behind a header; see `Body`.

    Raises:
        CorruptDownloadError: They are encrypted, or compressed in an unusual way.
    """
    is_stored = info.compress_type == zipfile.ZIP_STORED
    problem = None
    if info.flag_bits & UNREADABLE:
        problem = "is encrypted or patched, expected plain"
    elif info.compress_type not in METHODS:
        problem = f"is compressed by method {info.compress_type}, expected 0 (stored) or 8"
    elif is_stored and info.compress_size != info.file_size:
        problem = f"stores {info.compress_size} bytes, the zip says {info.file_size}"
    if problem:
        raise source.corrupt(f"{info.orig_filename!r} {problem}")
    if not is_stored:
        return _Deflated(source, info, check_size)
    is_scanned = info.flag_bits & STREAMED and not info.compress_size
    return (_Scanned if is_scanned else Body)(source, info, check_size)
