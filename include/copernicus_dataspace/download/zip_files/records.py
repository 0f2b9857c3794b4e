"""Parses the records of a zip stream: local headers, central directory, end records.

Validation is left to the caller.
"""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.members import IN_EXTRA, STREAMED, UTF8
from copernicus_dataspace.errors import CorruptDownloadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LOCAL_SIGNATURE: Final = b"PK\x03\x04"

_LOCAL: Final = struct.Struct("<4s2xHH4xLLLHH")
_FIELD: Final = struct.Struct("<HH")
_ROW: Final = struct.Struct("<4s4xHH4xLLLHHH4xLL")
_END64: Final = struct.Struct("<4sQ12xQQQQ4s4xQ4x")
"""ZIP64 end of central directory, and its locator."""
_END: Final = struct.Struct("<4s4xHHLLH")
_IN_END64: Final = (0xFFFF, 0xFFFF, IN_EXTRA, IN_EXTRA)
"""Placeholders for numbers that are in the ZIP64 end record."""


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
    is_unsaid = flags & STREAMED and not {0, IN_EXTRA}.isdisjoint(sizes)
    info.file_size, info.compress_size = (0, 0) if is_unsaid else sizes
    info.compress_type, info.CRC, info.header_offset = method, crc, start
    return info


def table_rows(source: Source) -> Iterator[zipfile.ZipInfo]:
    """Yield the entries of the central directory, which starts here."""
    while source.peek(4) == b"PK\x01\x02":
        row = _ROW.unpack(source.take(_ROW.size))
        _, flags, method, crc, stored, inflated, *lengths, attributes, start = row
        name_length, extra_length, comment_length = lengths
        info = _named(source, name_length, flags)
        numbers = _widened(source.take(extra_length), (inflated, stored, start))
        info.file_size, info.compress_size, info.header_offset = numbers
        info.compress_type, info.CRC, info.external_attr = method, crc, attributes
        source.skip(comment_length)
        yield info


def check_end(source: Source, count: int, start: int) -> None:
    """Parse the end records, up to the end of the zip.

    Args:
        source: At the end of the central directory.
        count: Number of its entries.
        start: Its offset.

    Raises:
        CorruptDownloadError: They contradict the directory, are truncated, or are followed by
            more bytes.
    """
    end = source.position
    facts = unsaid = (count, count, end - start, start)
    if source.peek(4) == b"PK\x06\x06":
        _, size, *said, locator, position = _END64.unpack(source.take(_END64.size))
        if (size, tuple(said), locator, position) != (44, facts, b"PK\x06\x07", end):
            raise source.corrupt("the ZIP64 end record contradicts the central directory")
        unsaid = _IN_END64
    signature, *numbers, comment_length = _END.unpack(source.take(_END.size))
    agrees = all(one in pair for one, *pair in zip(numbers, facts, unsaid, strict=True))
    if signature != b"PK\x05\x06" or not agrees:
        raise source.corrupt("the end of central directory is missing or contradicts the directory")
    source.skip(comment_length)
    if source.peek(1):
        raise source.corrupt("more bytes follow its end")


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
    return [next(wide, number) if number == IN_EXTRA else number for number in numbers]
