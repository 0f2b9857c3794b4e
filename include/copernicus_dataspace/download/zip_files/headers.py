"""Parses the local headers of a zip stream."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.checks import STREAMED, UTF8
from copernicus_dataspace.errors import CorruptDownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LOCAL_SIGNATURE: Final = b"PK\x03\x04"

_LOCAL: Final = struct.Struct("<4s2xHH4xLLLHH")
LOCAL_BYTES: Final = _LOCAL.size
_FIELD: Final = struct.Struct("<HH")
_IN_EXTRA: Final = 0xFFFFFFFF
"""Placeholder for a size that is given in the ZIP64 extra field."""


class Source:
    """The bytes of a zip stream, with a pushback buffer.

    Methods raise CorruptDownloadError at a premature end.
    """

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self._chunks = iter(chunks)
        self._what = what
        self._rest = b""
        self._start = 0
        self._received = 0

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._received - len(self._rest) + self._start

    def corrupt(self, problem: str) -> CorruptDownloadError:
        """Return the error to raise."""
        message = (
            f"{self._what} is not a complete zip: {problem}; {self._received} bytes were received. "
            "Download it again."
        )
        return CorruptDownloadError(message)

    def piece(self, limit: int) -> bytes:
        """Return up to `limit` bytes, at least one unless the limit is 0."""
        if limit and not self._fill():
            raise self.corrupt("it ends early")
        piece = self._rest[self._start : self._start + limit]
        self._start += len(piece)
        return piece

    def unread(self, data: bytes) -> None:
        """Put back the bytes read last."""
        if self._rest.endswith(data, 0, self._start):
            self._start -= len(data)
        else:
            self._rest, self._start = data + self._rest[self._start :], 0

    def peek(self, count: int) -> bytes:
        """Return the next bytes without consuming them; fewer at the end of the zip."""
        data = bytearray()
        while len(data) < count and self._fill():
            data += self.piece(count - len(data))
        self.unread(bytes(data))
        return bytes(data)

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes; for short records."""
        data = self.peek(count)
        self.skip(count)
        return data

    def skip(self, count: int) -> None:
        """Skip `count` bytes without copying them."""
        while count:
            if not self._fill():
                raise self.corrupt("it ends early")
            step = min(count, len(self._rest) - self._start)
            self._start += step
            count -= step

    def _fill(self) -> bool:
        while self._start == len(self._rest):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._rest, self._start = chunk, 0
            self._received += len(chunk)
        return True


def local_header(source: Source) -> zipfile.ZipInfo:
    """Parse a local header; sizes are 0 if they are in a data descriptor."""
    start = source.position
    _, flags, method, crc, stored, inflated, name_length, extra_length = _LOCAL.unpack(
        source.take(_LOCAL.size)
    )
    info = _named(source, name_length, flags)
    sizes = _widened(source.take(extra_length), (inflated, stored))
    is_unsaid = flags & STREAMED and not {0, _IN_EXTRA}.isdisjoint(sizes)
    info.file_size, info.compress_size = (0, 0) if is_unsaid else sizes
    info.compress_type, info.CRC, info.header_offset = method, crc, start
    return info


def _named(source: Source, length: int, flags: int) -> zipfile.ZipInfo:
    raw = source.take(length)
    try:
        info = zipfile.ZipInfo(raw.decode("utf-8" if flags & UTF8 else "cp437"))
    except UnicodeDecodeError as error:
        raise source.corrupt(str(error)) from error
    info.flag_bits = flags
    return info


def _widened(extra: bytes, numbers: Sequence[int]) -> list[int]:
    """Return the numbers, replacing placeholders by those of the ZIP64 extra field."""
    field = b""
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        field = extra[4 : 4 + length] if kind == 1 else field
        extra = extra[4 + length :]
    wide = (number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8]))
    return [next(wide, number) if number == _IN_EXTRA else number for number in numbers]
