"""Reads single members out of a zip; trusts nothing that the zip says of itself.

Knows nothing of products but that a zip holds one, in one top folder.
"""

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
"""Genuine products hold 110 to 150, those of several tiles before 2017 up to 2,000."""
MAX_DIRECTORY_BYTES: Final = 4 * 2**20
"""Of the zip's table of members, read at once; genuine ones have 30 kB."""
MAX_TOTAL_BYTES: Final = 32 * 2**30
"""Of all members inflated, as declared; the largest genuine products have 8 GB."""
MAX_RATIO: Final = 200
"""Inflated by deflated size of one member; the metadata of genuine products reach 15."""
_SMALL_BYTES: Final = 2**20
"""Members up to this size may have any ratio: a short file of blanks is no bomb."""
CHUNK_BYTES: Final = 2**20

_LOCAL_HEADER: Final = struct.Struct("<4s2xHH4xLLLH2x")
IN_EXTRA: Final = 0xFFFFFFFF
"""Stands for a size that is given in 64 bits elsewhere."""
UNREADABLE: Final = 0x1 | 0x20 | 0x40 | 0x2000
"""Flags of encrypted and of patched members."""
STREAMED: Final = 0x8
"""Sizes and CRC follow the bytes, and can be zero in the header before them."""
UTF8: Final = 0x800
METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_TYPE_BITS: Final = 0o170000
_REGULAR_FILE: Final = 0o100000
_FOLDER: Final = 0o040000


class ZipMembers:
    """The regular files of a zip, by their path below its single top folder.

    Attributes:
        root: The top folder.
    """

    root: str

    def __init__(self, stream: BinaryIO, what: str) -> None:
        """Read the table of members; the stream must be seekable, and stays open.

        Raises:
            CorruptDownloadError: Not a zip, or truncated.
            UnsafeContentError: A path leaves its folder, a link, two members of one name or that
                share bytes, more than one top folder, or more than any product.
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
        """Return the inflated size the zip declares; None where it has no such member."""
        info = self._infos.get(path)
        return None if info is None else info.file_size

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of one member, never more than declared; reads no other.

        Raises:
            CorruptDownloadError: The member is missing, encrypted, compressed in an unusual way, or
                contradicts the zip; the message is one line that begins with the path.
            UnsafeContentError: It inflates beyond reason; the message is such a line.
        """
        info = self._infos.get(path)
        problem = "missing from the archive" if info is None else self._problem(info)
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
            message = f"{path}: cannot be read from the archive: {error or 'it ends early'}"
            raise CorruptDownloadError(message) from error
        if size_bytes != info.file_size:
            message = f"{path}: inflates to {size_bytes} bytes, the zip says {info.file_size}"
            raise CorruptDownloadError(message)

    def _problem(self, info: zipfile.ZipInfo) -> str | None:
        """Return why a member cannot be right, as far as its headers tell."""
        if info.flag_bits & UNREADABLE:
            return "is encrypted or patched, expected plain"
        if info.compress_type not in METHODS:
            return f"is compressed by method {info.compress_type}, expected 0 (stored) or 8"
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            return f"stores {info.compress_size} bytes, the zip says {info.file_size}"
        if not self._headers_agree(info):
            return "the header before its bytes contradicts the zip's table of members"
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
    """A file that refuses to be read in huge pieces, or before its start.

    The zip says how long its table of members is, and `zipfile` reads it in one piece.
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
                f"The archive's table of members has more than {MAX_DIRECTORY_BYTES} bytes, "
                "expected some 30,000; it is refused."
            )
            raise UnsafeContentError(message)
        return content


def _opened(stream: _BoundedReads, what: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(stream)
        missing = any(info.header_offset < 0 for info in archive.infolist())
        problem = "a part of it is missing" if missing else None
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        problem = str(error)
    if problem is None and archive.infolist():
        return archive
    stream.seek(0)
    message = (
        f"{what} is no complete zip: {problem or 'it holds nothing'}; "
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
                f"{what}: {info.orig_filename!r} overlaps what follows, a bomb; it is refused."
            )
            raise UnsafeContentError(message)


def check_member(info: zipfile.ZipInfo, what: str) -> None:
    """Refuse a member whose path leaves its folder, or that is a link or a device.

    Raises:
        UnsafeContentError: It is one.
    """
    check_path(info.orig_filename.removesuffix("/"), what)
    file_type = (info.external_attr >> 16) & _TYPE_BITS
    if file_type not in {0, _FOLDER if is_folder(info) else _REGULAR_FILE}:
        message = (
            f"{what}: {info.orig_filename!r} is a link or device (file type {file_type:o}), "
            "expected a regular file; the archive is refused."
        )
        raise UnsafeContentError(message)


def check_inflation(info: zipfile.ZipInfo, path: str) -> None:
    """Refuse a member that inflates beyond reason.

    Raises:
        UnsafeContentError: It does.
    """
    if info.file_size > max(_SMALL_BYTES, MAX_RATIO * info.compress_size):
        message = (
            f"{path}: inflates from {info.compress_size} to {info.file_size} bytes, "
            f"expected at most {MAX_RATIO} times; a bomb"
        )
        raise UnsafeContentError(message)


def only_top_folder(infos: Iterable[zipfile.ZipInfo], what: str) -> str:
    """Return the one folder that all members are in.

    Raises:
        UnsafeContentError: There are several.
    """
    tops = sorted({info.orig_filename.partition("/")[0] for info in infos})
    if len(tops) > 1:
        message = f"{what} holds {len(tops)} top folders, {tops[:3]}, expected 1; it is refused."
        raise UnsafeContentError(message)
    return tops[0]


def is_folder(info: zipfile.ZipInfo) -> bool:
    """Tell whether a member is a folder, which holds no bytes."""
    return info.orig_filename.endswith("/")


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")
