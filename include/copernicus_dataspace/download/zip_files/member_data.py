"""Reads the data of a zip member from a stream, and finds its end."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.download.zip_files.checks import STREAMED

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from copernicus_dataspace.download.zip_files.headers import Source
    from copernicus_dataspace.errors import CorruptDownloadError

_CHUNK_BYTES: Final = 2**20
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


def member_data(
    source: Source, info: zipfile.ZipInfo, check_size: Callable[[zipfile.ZipInfo], None]
) -> Generator[bytes]:
    """Yield the uncompressed data after a header in chunks of up to 1 MiB; verify them at the end.

    Args:
        source: Source of the data, at its start.
        info: The header; sizes and CRC of a data descriptor are filled in.
        check_size: Refuses a member of unknown size that gets too large.

    Raises:
        CorruptDownloadError: The data contradicts its CRC or size, or the zip is truncated.
    """
    is_known, start, size_bytes, crc = has_known_size(info), source.position, 0, 0
    for piece in _pieces(source, info):
        size_bytes += len(piece)
        crc = zlib.crc32(piece, crc)
        if not is_known:
            info.compress_size, info.file_size = source.position - start, size_bytes
            check_size(info)
        elif size_bytes > info.file_size:
            break
        yield piece
    sizes, declared = (source.position - start, size_bytes), (info.compress_size, info.file_size)
    if not is_known:
        info.compress_size, info.file_size = sizes
    elif sizes != declared:
        problem = f"inflates from {sizes[0]} to {sizes[1]} bytes, the zip says {declared}"
        raise _corrupt(source, info, problem)
    pass_descriptor(source, info)
    if crc != info.CRC:
        problem = f"has the CRC-32 {crc:08x}, the zip says {info.CRC:08x}"
        raise _corrupt(source, info, problem)


def has_known_size(info: zipfile.ZipInfo) -> bool:
    """Tell whether the header has the sizes."""
    return bool(info.compress_size) or not info.flag_bits & STREAMED


def pass_descriptor(source: Source, info: zipfile.ZipInfo) -> None:
    """Read the data descriptor after the data, if there is one; fill in its CRC.

    Raises:
        CorruptDownloadError: It contradicts the sizes.
    """
    if not info.flag_bits & STREAMED:
        return
    tail = source.peek(_LONGEST_DESCRIPTOR_BYTES)
    for signature, layout in _DESCRIPTORS:
        end = len(signature) + layout.size
        if tail.startswith(signature) and _FOLLOWING.match(tail, end):
            crc, *sizes = layout.unpack_from(tail, len(signature))
            if sizes == [info.compress_size, info.file_size]:
                source.skip(end)
                info.CRC = crc
                return
    raise _corrupt(source, info, "is not followed by a valid data descriptor")


def _pieces(source: Source, info: zipfile.ZipInfo) -> Iterator[bytes]:
    if info.compress_type != zipfile.ZIP_STORED:
        return _inflated(source, info, info.compress_size if has_known_size(info) else None)
    return _copied(source, info) if has_known_size(info) else _scanned(source, info)


def _copied(source: Source, info: zipfile.ZipInfo) -> Iterator[bytes]:
    end = source.position + info.compress_size
    while left := end - source.position:
        yield source.piece(min(left, _CHUNK_BYTES))


def _inflated(source: Source, info: zipfile.ZipInfo, stored_bytes: int | None) -> Iterator[bytes]:
    inflater, start = zlib.decompressobj(-zlib.MAX_WBITS), source.position
    while not inflater.eof:
        passed = source.position - start
        left = _WINDOW_BYTES if stored_bytes is None else stored_bytes - passed
        data = source.piece(min(left, _WINDOW_BYTES))
        try:
            piece = inflater.decompress(data, _CHUNK_BYTES)
        except zlib.error as error:
            raise _corrupt(source, info, f"cannot be inflated: {error}") from error
        source.unread(inflater.unconsumed_tail + inflater.unused_data)
        if piece:
            yield piece
        elif not data:
            raise _corrupt(source, info, f"does not end within {passed} deflated bytes")


def _scanned(source: Source, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a stored member of unknown size, up to the first data descriptor that matches.

    A member that itself contains such bytes is truncated there, and then contradicts the central
    directory.
    """
    size_bytes, crc, end = 0, 0, None
    while end is None:
        window = source.peek(_WINDOW_BYTES)
        end = _end(window, size_bytes, crc)
        if end is None and len(window) < _WINDOW_BYTES:
            raise _corrupt(source, info, "does not end")
        piece = source.take(len(window) - _LONGEST_DESCRIPTOR_BYTES + 1 if end is None else end)
        size_bytes += len(piece)
        crc = zlib.crc32(piece, crc)
        yield piece


def _end(window: bytes, size_bytes: int, crc: int) -> int | None:
    """Return where the data ends, given the size and the CRC of what was before; None if later."""
    for following in _FOLLOWING.finditer(window):
        for signature, layout in _DESCRIPTORS:
            start = following.start() - layout.size - len(signature)
            if start < 0 or not window.startswith(signature, start):
                continue
            listed, *sizes = layout.unpack_from(window, start + len(signature))
            is_right = sizes == [size_bytes + start] * 2
            if is_right and listed == zlib.crc32(window[:start], crc):
                return start
    return None


def _corrupt(source: Source, info: zipfile.ZipInfo, problem: str) -> CorruptDownloadError:
    return source.corrupt(f"{info.orig_filename!r} {problem}")
