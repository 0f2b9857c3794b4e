"""Reads the data of a zip member from a stream, and finds its end."""

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
"""Bytes inflated, or searched for the end of a member, at a time."""
_FOLLOWING: Final = re.compile(rb"PK(?:\x03\x04|\x01\x02)")
"""What can follow a member: the next one, or the central directory."""
_DESCRIPTORS: Final = tuple(
    (signature, struct.Struct(layout))
    for signature in (b"PK\x07\x08", b"")
    for layout in ("<LLL", "<LQQ")
)
"""Layouts of a data descriptor: CRC, compressed and uncompressed size; which is not declared."""
_LONGEST_DESCRIPTOR_BYTES: Final = 4 + 20 + 4
"""Including the signature of the next record."""


class Body:
    """The data of a member; this class is for stored members of known size.

    Raises CorruptDownloadError for invalid data.
    """

    def __init__(self, source: Source, info: zipfile.ZipInfo, check_size: CheckSize) -> None:
        """Start after the header.

        Args:
            source: Source of the data.
            info: The header; sizes and CRC of a data descriptor are filled in later.
            check_size: Refuses a member of unknown size that gets too large.
        """
        self._source = source
        self._info = info
        self._check_size = check_size
        self._is_known = bool(info.compress_size) or not info.flag_bits & STREAMED
        self._stored = self._inflated = self._crc = 0
        self._is_verified = self._is_gone = False

    def read(self) -> bytes:
        """Return the next uncompressed bytes; empty at the end, after verification.

        Raises:
            ValueError: The stream has moved on.
        """
        if self._is_gone:
            message = f"{self._info.orig_filename} must be read before the next member"
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
        """Skip unread data, without inflating it if its size is known."""
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
        """Parse the data descriptor; return its CRC and length."""
        tail = self._source.peek(_LONGEST_DESCRIPTOR_BYTES)
        for signature, layout in _DESCRIPTORS:
            end = len(signature) + layout.size
            if tail.startswith(signature) and _FOLLOWING.match(tail, end):
                crc, *sizes = layout.unpack_from(tail, len(signature))
                if sizes == [self._info.compress_size, self._info.file_size]:
                    return crc, end
        raise self._corrupt("is not followed by a valid data descriptor")

    def _corrupt(self, problem: str) -> CorruptDownloadError:
        return self._source.corrupt(f"{self._info.orig_filename!r} {problem}")


class _Deflated(Body):
    """A deflated member; ends with the deflate stream."""

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
    """A stored member of unknown size; ends at the first data descriptor that matches.

    A member that itself contains such bytes is truncated there, and then contradicts the central
    directory.
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
    """Return the data after a header; see `Body`.

    Raises:
        CorruptDownloadError: It is encrypted, or has an unsupported compression method.
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
