"""Reads members of an untrusted zip file; checks all of its declarations."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final

from copernicus_dataspace.errors import CorruptDownloadError, UnsafeContentError
from copernicus_dataspace.models.manifest import check_distinct, check_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_MEMBERS: Final = 10_000
"""Real products have 110 to 150, those of several tiles before 2017 up to 2,000."""
MAX_DIRECTORY_BYTES: Final = 4 * 2**20
"""Size of the central directory, read at once; real ones have 30 kB."""
MAX_TOTAL_BYTES: Final = 32 * 2**30
"""Declared uncompressed size of all members; the largest real products have 8 GB."""
MAX_RATIO: Final = 200
"""Compression ratio of one member; metadata of real products reach 15."""
_SMALL_BYTES: Final = 2**20
"""Members up to this size may have any ratio: a small file of blanks is harmless."""
CHUNK_BYTES: Final = 2**20

_LOCAL_HEADER: Final = struct.Struct("<4s2xHH4xLLLH2x")
IN_EXTRA: Final = 0xFFFFFFFF
"""Placeholder for a size that is given in the ZIP64 record."""
UNREADABLE: Final = 0x1 | 0x20 | 0x40 | 0x2000
"""Flags of encrypted and patched members."""
STREAMED: Final = 0x8
"""Flag: sizes and CRC are in a data descriptor after the data, and may be zero in the header."""
UTF8: Final = 0x800
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_TYPE_BITS: Final = 0o170000
_REGULAR_FILE: Final = 0o100000
_FOLDER: Final = 0o040000


class ZipMembers:
    """The regular files of a zip, by path below its single top folder.

    Attributes:
        root: The top folder.
    """

    root: str

    def __init__(self, stream: BinaryIO, what: str) -> None:
        """Read the central directory; the stream must be seekable, and stays open.

        Raises:
            CorruptDownloadError: Not a zip, or truncated.
            UnsafeContentError: A path leaves its folder, a link, duplicate or overlapping members,
                several top folders, or too many or too large members.
        """
        self._stream = _BoundedReads(stream)
        self._zip = _opened(self._stream, what)
        infos = self._zip.infolist()
        _check_members(infos, self._zip.start_dir, what)
        self.root = only_top_folder(infos, what)
        self._infos = {
            info.orig_filename.removeprefix(f"{self.root}/"): info
            for info in infos
            if not is_folder(info)
        }

    def size_bytes(self, path: str) -> int | None:
        """Return the declared uncompressed size; None if there is no such member."""
        info = self._infos.get(path)
        return None if info is None else info.file_size

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the data of one member, never more than declared.

        Raises:
            CorruptDownloadError: The member is missing, encrypted, has an unsupported compression
                method, or contradicts the zip; the message is one line that begins with the path.
            UnsafeContentError: Its compression ratio is too high; the message is such a line.
        """
        info = self._infos.get(path)
        problem = "missing in the zip" if info is None else self._problem(info)
        if info is None or problem:
            message = f"{path}: {problem}"
            raise CorruptDownloadError(message)
        check_inflation(info, path)
        size_bytes = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(CHUNK_BYTES):
                    size_bytes += len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            message = f"{path}: cannot be read from the zip: {error or 'it is truncated'}"
            raise CorruptDownloadError(message) from error
        if size_bytes != info.file_size:
            message = f"{path}: inflates to {size_bytes} bytes, the zip says {info.file_size}"
            raise CorruptDownloadError(message)

    def _problem(self, info: zipfile.ZipInfo) -> str | None:
        """Return what is wrong with a member according to its headers."""
        if info.flag_bits & UNREADABLE:
            return "is encrypted or patched, expected plain"
        if info.compress_type not in METHODS:
            return f"is compressed by method {info.compress_type}, expected 0 (stored) or 8"
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            return f"stores {info.compress_size} bytes, the zip says {info.file_size}"
        if not self._headers_agree(info):
            return "the local header contradicts the zip's central directory"
        return None

    def _headers_agree(self, info: zipfile.ZipInfo) -> bool:
        self._stream.seek(info.header_offset)
        header = self._stream.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size:
            return False
        magic, flags, method, crc, deflated, inflated, name_length = _LOCAL_HEADER.unpack(header)
        unsaid = {0, IN_EXTRA} if flags & STREAMED else {IN_EXTRA}
        pairs = ((crc, info.CRC), (deflated, info.compress_size), (inflated, info.file_size))
        return (
            magic == b"PK\x03\x04"
            and method == info.compress_type
            and not (flags ^ info.flag_bits) & (UNREADABLE | UTF8)
            and all(local == central or local in unsaid for local, central in pairs)
            and self._stream.read(name_length) == _raw_name(info)
        )


class _BoundedReads:
    """A file that refuses huge reads, and seeks before its start.

    `zipfile` reads the central directory at once, with the size the zip declares.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size_bytes = stream.seek(0, io.SEEK_END)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = (0, self._stream.tell(), self._size_bytes)[whence]
        if start + offset < 0:
            message = "a part of it is missing"
            raise zipfile.BadZipFile(message)
        return self._stream.seek(start + offset)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and 0 <= size <= MAX_DIRECTORY_BYTES:
            return self._stream.read(size)
        content = self._stream.read(MAX_DIRECTORY_BYTES + 1)
        if len(content) > MAX_DIRECTORY_BYTES:
            message = (
                f"The zip's central directory has more than {MAX_DIRECTORY_BYTES} bytes, "
                "expected some 30,000; it is refused."
            )
            raise UnsafeContentError(message)
        return content


def _opened(stream: _BoundedReads, what: str) -> zipfile.ZipFile:
    try:
        zipped = zipfile.ZipFile(stream)
        missing = any(info.header_offset < 0 for info in zipped.infolist())
        problem = "a part of it is missing" if missing else None
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        problem = str(error)
    if problem is None and zipped.infolist():
        return zipped
    stream.seek(0)
    message = (
        f"{what} is not a complete zip: {problem or 'it is empty'}; "
        f"it begins with {stream.read(40)!r}. Download it again."
    )
    raise CorruptDownloadError(message)


def _check_members(infos: Sequence[zipfile.ZipInfo], end: int, what: str) -> None:
    total_bytes = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or total_bytes > MAX_TOTAL_BYTES:
        message = (
            f"{what} declares {len(infos)} members of {total_bytes} bytes, "
            f"expected at most {MAX_MEMBERS} of {MAX_TOTAL_BYTES}; it is refused."
        )
        raise UnsafeContentError(message)
    for info in infos:
        check_member(info, what)
    check_distinct([info.orig_filename for info in infos if not is_folder(info)], what)
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [*(info.header_offset for info in ordered), end]
    for info, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start + _LOCAL_HEADER.size + len(_raw_name(info)) + info.compress_size > following:
            message = (
                f"{what}: {info.orig_filename!r} overlaps the next member (bomb); it is refused."
            )
            raise UnsafeContentError(message)


def check_member(info: zipfile.ZipInfo, what: str) -> None:
    """Refuse a member whose path leaves its folder, or that is a link or a device.

    Raises:
        UnsafeContentError: It does or is.
    """
    check_path(info.orig_filename.removesuffix("/"), what)
    file_type = (info.external_attr >> 16) & _TYPE_BITS
    if file_type not in {0, _FOLDER if is_folder(info) else _REGULAR_FILE}:
        message = (
            f"{what}: {info.orig_filename!r} is a link or device (file type {file_type:o}), "
            "expected a regular file; the zip is refused."
        )
        raise UnsafeContentError(message)


def check_inflation(info: zipfile.ZipInfo, path: str) -> None:
    """Refuse a member with too high a compression ratio.

    Raises:
        UnsafeContentError: It is too high.
    """
    if info.file_size > max(_SMALL_BYTES, MAX_RATIO * info.compress_size):
        message = (
            f"{path}: inflates from {info.compress_size} to {info.file_size} bytes, "
            f"expected at most {MAX_RATIO} times (zip bomb)"
        )
        raise UnsafeContentError(message)


def only_top_folder(infos: Iterable[zipfile.ZipInfo], what: str) -> str:
    """Return the single top folder of all members.

    Raises:
        UnsafeContentError: There are several.
    """
    tops = sorted({info.orig_filename.partition("/")[0] for info in infos})
    if len(tops) > 1:
        message = f"{what} holds {len(tops)} top folders, {tops[:3]}, expected 1; it is refused."
        raise UnsafeContentError(message)
    return tops[0]


def is_folder(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a folder."""
    return info.orig_filename.endswith("/")


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")
