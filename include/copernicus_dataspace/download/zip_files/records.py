"""The records of a zip in the order in which they pass: headers, the table, its end.

Each is read as it stands; what it says is for the caller to judge.
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
"""The end of a table in 64 bits, and its locator."""
_END: Final = struct.Struct("<4s4xHHLLH")
_IN_END64: Final = (0xFFFF, 0xFFFF, IN_EXTRA, IN_EXTRA)
"""Stand in the end of a table for numbers that its 64-bit end holds."""


class Source:
    """The bytes of a zip in order, with a way back for those just read.

    Every method that needs more bytes than there are raises CorruptDownloadError.
    """

    def __init__(self, chunks: Iterable[bytes], what: str) -> None:
        self._chunks = iter(chunks)
        self._what = what
        self._rest = b""
        self._start = 0
        self._received = 0

    @property
    def position(self) -> int:
        """Bytes of the zip before the next one."""
        return self._received - len(self._rest) + self._start

    def corrupt(self, problem: str) -> CorruptDownloadError:
        """Return the error to raise."""
        message = (
            f"{self._what} is no complete zip: {problem}; {self._received} bytes were received. "
            "Download it again."
        )
        return CorruptDownloadError(message)

    def piece(self, limit: int) -> bytes:
        """Return the next bytes, at least one unless the limit is 0."""
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
        """Return the next bytes without passing them; fewer at the end of the zip."""
        data = bytearray()
        while len(data) < count and self._fill():
            data += self.piece(count - len(data))
        self.unread(bytes(data))
        return bytes(data)

    def take(self, count: int) -> bytes:
        """Return exactly so many bytes; meant for short records."""
        data = self.peek(count)
        self.skip(count)
        return data

    def skip(self, count: int) -> None:
        """Pass so many bytes, copying none."""
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
    """Return what stands before the bytes of a member; sizes of 0 where they stand behind."""
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
    """Yield the rows of the table of members, which begins here."""
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
    """Read what follows the table, up to the end of the zip.

    Args:
        source: At the end of the table.
        count: Rows of the table.
        start: Where it began.

    Raises:
        CorruptDownloadError: It tells of another table, is cut, or has anything behind it.
    """
    end = source.position
    facts = unsaid = (count, count, end - start, start)
    if source.peek(4) == b"PK\x06\x06":
        _, size, *said, locator, position = _END64.unpack(source.take(_END64.size))
        if (size, tuple(said), locator, position) != (44, facts, b"PK\x06\x07", end):
            raise source.corrupt("the 64-bit end of its table of members contradicts the table")
        unsaid = _IN_END64
    signature, *numbers, comment_length = _END.unpack(source.take(_END.size))
    agrees = all(one in pair for one, *pair in zip(numbers, facts, unsaid, strict=True))
    if signature != b"PK\x05\x06" or not agrees:
        raise source.corrupt("the end of its table of members is missing or contradicts the table")
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
    """Return the numbers, those given in 64 bits from the extra field that holds them."""
    field = b""
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        field = extra[4 : 4 + length] if kind == 1 else field
        extra = extra[4 + length :]
    wide = (number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8]))
    return [next(wide, number) if number == IN_EXTRA else number for number in numbers]
