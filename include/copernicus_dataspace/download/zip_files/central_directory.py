"""Reads the central directory of an untrusted zip with `zipfile`."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING, BinaryIO, Final

from copernicus_dataspace.errors import UnsafeContentError

if TYPE_CHECKING:
    from copernicus_dataspace.download.zip_files.headers import Source

MAX_DIRECTORY_BYTES: Final = 4 * 2**20
"""Size of the central directory, read at once; real ones have 30 kB."""
_SEARCHED_BYTES: Final = 2**17
"""Longer than what `zipfile` searches for the end of central directory."""
_END: Final = struct.Struct("<4s16xH")
"""End of central directory: signature and length of the comment."""


def read_directory(stream: BoundedReads) -> zipfile.ZipFile:
    """Read the central directory.

    Raises:
        zipfile.BadZipFile: Not a zip, truncated, or empty.
        UnsafeContentError: The central directory is too large.
    """
    try:
        opened = zipfile.ZipFile(stream)
    except (UnicodeDecodeError, NotImplementedError) as error:
        raise zipfile.BadZipFile(str(error)) from error
    if not opened.infolist():
        raise zipfile.BadZipFile("it is empty")
    if any(info.header_offset < 0 for info in opened.infolist()):
        raise zipfile.BadZipFile("a part of it is missing")
    return opened


def rest_of_stream(source: Source, what: str) -> zipfile.ZipFile:
    """Read the rest of a stream, which must be the central directory and nothing else.

    Raises:
        CorruptDownloadError: It is not, or is truncated.
        UnsafeContentError: The central directory is too large.
    """
    start = source.position
    rest = source.peek(MAX_DIRECTORY_BYTES + 1)
    if len(rest) > MAX_DIRECTORY_BYTES:
        raise _too_large(what)
    stream = BoundedReads(io.BytesIO(bytes(_SEARCHED_BYTES) + rest), start - _SEARCHED_BYTES)
    try:
        opened = read_directory(stream)
    except zipfile.BadZipFile as error:
        raise source.corrupt(str(error)) from error
    end, comment_bytes = rest[-_END.size - len(opened.comment) :], len(opened.comment)
    if opened.start_dir != start or _END.unpack_from(end) != (b"PK\x05\x06", comment_bytes):
        raise source.corrupt("the central directory is preceded or followed by other bytes")
    return opened


class BoundedReads:
    """A file that refuses huge reads, and seeks before its start.

    `zipfile` reads the central directory at once, with the size the zip declares.
    """

    def __init__(self, stream: BinaryIO, start: int = 0) -> None:
        """Wrap a seekable file.

        Args:
            stream: The file.
            start: Offset of its first byte in the zip.
        """
        self._stream = stream
        self._start = start
        self._end = start + stream.seek(0, io.SEEK_END)

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the offset in the zip."""
        return self._start + self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Seek; raises `zipfile.BadZipFile` before the start."""
        position = (0, self.tell(), self._end)[whence] + offset - self._start
        if position < 0:
            raise zipfile.BadZipFile("a part of it is missing")
        return self._start + self._stream.seek(position)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to the maximum size of the central directory."""
        if size is not None and 0 <= size <= MAX_DIRECTORY_BYTES:
            return self._stream.read(size)
        content = self._stream.read(MAX_DIRECTORY_BYTES + 1)
        if len(content) > MAX_DIRECTORY_BYTES:
            raise _too_large("The zip")
        return content


def _too_large(what: str) -> UnsafeContentError:
    return UnsafeContentError(
        f"{what}: the central directory has more than {MAX_DIRECTORY_BYTES} bytes, "
        "expected some 30,000; it is refused."
    )
