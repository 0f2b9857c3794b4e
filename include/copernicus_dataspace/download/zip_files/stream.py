"""Reads the members of an untrusted zip from a stream.

The central directory comes last: errors that only it reveals (a link, a contradiction) are raised
after the members have been read.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import GEN_CREATED, getgeneratorstate
from typing import TYPE_CHECKING

from copernicus_dataspace.download.zip_files.central_directory import rest_of_stream
from copernicus_dataspace.download.zip_files.checks import (
    MAX_TOTAL_BYTES,
    MemberChecks,
    check_type,
    is_folder,
    same_header,
    unreadable,
)
from copernicus_dataspace.download.zip_files.headers import LOCAL_SIGNATURE, Source, local_header
from copernicus_dataspace.download.zip_files.member_data import (
    has_known_size,
    member_data,
    pass_descriptor,
)

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Generator, Iterable, Iterator


def stream_members(
    chunks: Iterable[bytes], what: str, max_total_bytes: int = MAX_TOTAL_BYTES
) -> Iterator[StreamedMember]:
    """Yield the regular files of a zip as they arrive; ends after the central directory.

    Data that was read is verified once the iteration has ended. Unread members are skipped without
    inflating them or checking their CRC, unless their size is in a data descriptor.

    Args:
        chunks: The zip in chunks of any size; one chunk and about 100 kB are buffered. Its
            exceptions are passed through.
        what: Name of the zip in messages, as the subject of a sentence.
        max_total_bytes: Maximum uncompressed size of all members.

    Raises:
        CorruptDownloadError: Not a zip, truncated, followed by more bytes, or contradictory; a
            member is encrypted or has an unsupported compression method.
        UnsafeContentError: A path leaves its folder, a link, duplicate members, several top
            folders, too many or too large members, or too high a compression ratio.
    """
    source, checks = Source(chunks, what), MemberChecks(what, max_total_bytes)
    passed: dict[int, zipfile.ZipInfo] = {}
    while source.peek(4) == LOCAL_SIGNATURE:
        info = local_header(source)
        checks.admit(info)
        if problem := unreadable(info):
            raise source.corrupt(f"{info.orig_filename!r} {problem}")
        path = info.orig_filename.removeprefix(f"{checks.root}/")
        member = StreamedMember(path, member_data(source, info, checks.check_size))
        if not is_folder(info):
            yield member
        member.finish(source, info)
        checks.add(info)
        passed[info.header_offset] = info
    if not passed:
        raise source.corrupt(f"it begins with {source.peek(40)!r}")
    _compare_directory(source, passed, what)


@dataclass(slots=True)
class StreamedMember:
    """A regular file, to be read before the next one is requested.

    Attributes:
        path: Path below the top folder.
    """

    path: str
    _data: Generator[bytes]
    _is_finished: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the uncompressed data in chunks of up to 1 MiB; continues after an earlier call.

        Raises:
            CorruptDownloadError: The data contradicts its CRC or size, or the zip is truncated.
            UnsafeContentError: The compression ratio is too high.
            ValueError: The next member was already requested.
        """
        self._check_is_current()
        for piece in self._data:  # noqa: UP028 - closing this generator must not close the data
            yield piece
        self._check_is_current()

    def finish(self, source: Source, info: zipfile.ZipInfo) -> None:
        """Skip what was not read; without inflating it, if nothing was read."""
        self._is_finished = True
        if has_known_size(info) and getgeneratorstate(self._data) == GEN_CREATED:
            source.skip(info.compress_size)
            pass_descriptor(source, info)
            return
        for _ in self._data:
            pass

    def _check_is_current(self) -> None:
        if self._is_finished:
            message = f"{self.path} must be read before the next member"
            raise ValueError(message)


def _compare_directory(source: Source, passed: dict[int, zipfile.ZipInfo], what: str) -> None:
    """Compare the central directory with the members that were read, by offset."""
    count = len(passed)
    for info in rest_of_stream(source, what).infolist():
        local = passed.pop(info.header_offset, None)
        if local is None or not same_header(local, info):
            raise source.corrupt(f"the central directory contradicts {info.orig_filename!r}")
        check_type(info, what)
    if passed:
        raise source.corrupt(f"the central directory lacks {len(passed)} of {count} members")
