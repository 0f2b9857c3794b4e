"""Reads members of an untrusted zip file; checks all of its declarations."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final

from copernicus_dataspace.download.zip_files.central_directory import BoundedReads, read_directory
from copernicus_dataspace.download.zip_files.checks import (
    MAX_TOTAL_BYTES,
    STREAMED,
    MemberChecks,
    is_folder,
    same_header,
    unreadable,
)
from copernicus_dataspace.download.zip_files.headers import (
    LOCAL_BYTES,
    LOCAL_SIGNATURE,
    Source,
    local_header,
)
from copernicus_dataspace.errors import CorruptDownloadError, UnsafeContentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK_BYTES: Final = 2**20
_HEADER_BYTES: Final = 2**10
"""Bytes read at a time where a local header starts."""


class ZipMembers:
    """The regular files of a zip, by path below its single top folder.

    Attributes:
        root: The top folder.
    """

    root: str

    def __init__(self, stream: BinaryIO, what: str, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        """Read the central directory; the stream must be seekable, and stays open.

        Raises:
            CorruptDownloadError: Not a zip, or truncated.
            UnsafeContentError: A path leaves its folder, a link, duplicate or overlapping members,
                several top folders, too many or too large members, or too high a compression
                ratio.
        """
        self._stream = BoundedReads(stream)
        self._zip = _opened(self._stream, what)
        infos, checks = self._zip.infolist(), MemberChecks(what, max_total_bytes)
        for info in infos:
            checks.admit(info)
            checks.add(info)
        _check_overlaps(infos, self._zip.start_dir, what)
        self.root = checks.root
        self._infos = {
            info.orig_filename.removeprefix(f"{self.root}/"): info
            for info in infos
            if not is_folder(info)
        }

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield the data of one member, never more than declared.

        Raises:
            CorruptDownloadError: The member is missing, encrypted, has an unsupported compression
                method, or contradicts the zip; the message is one line that begins with the path.
        """
        info = self._infos.get(path)
        problem = "missing in the zip" if info is None else self._problem(info)
        if info is None or problem:
            message = f"{path}: {problem}"
            raise CorruptDownloadError(message)
        size_bytes = 0
        try:
            with self._zip.open(info) as member:
                while chunk := member.read(_CHUNK_BYTES):
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
        if problem := unreadable(info):
            return problem
        if not self._headers_agree(info):
            return "the local header contradicts the zip's central directory"
        return None

    def _headers_agree(self, info: zipfile.ZipInfo) -> bool:
        self._stream.seek(info.header_offset)
        source = Source(iter(partial(self._stream.read, _HEADER_BYTES), b""), "")
        try:
            local = local_header(source) if source.peek(4) == LOCAL_SIGNATURE else None
        except CorruptDownloadError:
            return False
        if local and local.flag_bits & STREAMED:
            local.CRC = local.CRC or info.CRC
            local.compress_size = local.compress_size or info.compress_size
            local.file_size = local.file_size or info.file_size
        return local is not None and same_header(local, info)


def _opened(stream: BoundedReads, what: str) -> zipfile.ZipFile:
    try:
        return read_directory(stream)
    except zipfile.BadZipFile as error:
        stream.seek(0)
        message = (
            f"{what} is not a complete zip: {error}; "
            f"it begins with {stream.read(40)!r}. Download it again."
        )
        raise CorruptDownloadError(message) from error


def _check_overlaps(infos: Sequence[zipfile.ZipInfo], end: int, what: str) -> None:
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [*(info.header_offset for info in ordered), end]
    for info, (start, following) in zip(ordered, pairwise(starts), strict=True):
        if start + LOCAL_BYTES + len(info.orig_filename) + info.compress_size > following:
            message = (
                f"{what}: {info.orig_filename!r} overlaps the next member (bomb); it is refused."
            )
            raise UnsafeContentError(message)
