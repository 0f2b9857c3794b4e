"""Reads the members of an untrusted zip from a stream.

The central directory comes last: errors that only it reveals (a link, a contradiction) are raised
after the members have been read.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copernicus_dataspace.download.zip_files.member_data import Body, body
from copernicus_dataspace.download.zip_files.members import (
    MAX_DIRECTORY_BYTES,
    MAX_MEMBERS,
    MAX_TOTAL_BYTES,
    UNREADABLE,
    UTF8,
    check_inflation,
    check_member,
    is_folder,
    only_top_folder,
)
from copernicus_dataspace.download.zip_files.records import (
    LOCAL_SIGNATURE,
    Source,
    check_end,
    local_header,
    table_rows,
)
from copernicus_dataspace.errors import UnsafeContentError
from copernicus_dataspace.models.manifest import check_distinct, folded, folders

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable, Iterator


def stream_members(chunks: Iterable[bytes], what: str) -> Iterator[StreamedMember]:
    """Yield the regular files of a zip as they arrive; ends after the central directory.

    Data that was read is verified once the iteration has ended. Unread members are skipped without
    inflating them or checking their CRC, unless their size is in a data descriptor.

    Args:
        chunks: The zip in chunks of any size; one chunk and about 100 kB are buffered. Its
            exceptions are passed through.
        what: Name of the zip in messages, as the subject of a sentence.

    Raises:
        CorruptDownloadError: Not a zip, truncated, followed by more bytes, or contradictory; a
            member is encrypted or has an unsupported compression method.
        UnsafeContentError: A path leaves its folder, a link, duplicate members, several top
            folders, too many or too large members, or too high a compression ratio.
    """
    source = Source(chunks, what)
    passed = _Passed(what)
    while source.peek(4) == LOCAL_SIGNATURE:
        info = local_header(source)
        passed.admit(info)
        content = body(source, info, passed.check_size)
        if not is_folder(info):
            path = info.orig_filename.removeprefix(f"{passed.root}/")
            yield StreamedMember(path, content)
        content.pass_rest()
        passed.add(info)
    if not passed.facts:
        raise source.corrupt(f"it begins with {source.peek(40)!r}")
    _check_table(source, passed)


@dataclass(frozen=True, slots=True)
class StreamedMember:
    """A regular file, to be read before the next one is requested.

    Attributes:
        path: Path below the top folder.
    """

    path: str
    _body: Body

    def chunks(self) -> Iterator[bytes]:
        """Yield the uncompressed data in chunks of up to 1 MiB; continues after an earlier call.

        Raises:
            CorruptDownloadError: The data contradicts its CRC or size, or the zip is truncated.
            UnsafeContentError: The compression ratio is too high.
            ValueError: The next member was already requested.
        """
        while piece := self._body.read():
            yield piece


class _Passed:
    """The members read so far, and the limits for the next ones.

    Attributes:
        root: Their top folder.
        facts: Expected entries of the central directory, by offset.
    """

    root: str
    facts: dict[int, tuple[object, ...]]

    def __init__(self, what: str) -> None:
        self.what = what
        self.facts = {}
        self._first: zipfile.ZipInfo | None = None
        self._total_bytes = 0
        self._paths: dict[str, str] = {}
        self._places: list[str] = []

    def admit(self, info: zipfile.ZipInfo) -> None:
        """Refuse a member that conflicts with earlier ones."""
        self.check_size(info)
        check_member(info, self.what)
        self._first = self._first or info
        self.root = only_top_folder((self._first, info), self.what)
        if is_folder(info):
            return
        place = folded(info.orig_filename)
        below = bisect_left(self._places, f"{place}/")
        rivals = [one for one in self._places[below : below + 1] if one.startswith(f"{place}/")]
        for rival in (place, *folders(place), *rivals):
            if rival in self._paths:
                check_distinct((self._paths[rival], info.orig_filename), self.what)
        self._paths[place] = info.orig_filename
        insort(self._places, place)

    def check_size(self, info: zipfile.ZipInfo) -> None:
        """Refuse a member beyond the maximum number or size, or a zip bomb."""
        count, total_bytes = len(self.facts) + 1, self._total_bytes + info.file_size
        if count > MAX_MEMBERS or total_bytes > MAX_TOTAL_BYTES:
            message = (
                f"{self.what} has at least {count} members of {total_bytes} bytes; "
                f"expected at most {MAX_MEMBERS} of {MAX_TOTAL_BYTES}; it is refused."
            )
            raise UnsafeContentError(message)
        check_inflation(info, f"{self.what}: {info.orig_filename}")

    def add(self, info: zipfile.ZipInfo) -> None:
        """Count a member that was read."""
        self.facts[info.header_offset] = _facts(info)
        self._total_bytes += info.file_size


def _check_table(source: Source, passed: _Passed) -> None:
    """Read the central directory, and compare it with the members."""
    start, count = source.position, len(passed.facts)
    for row in table_rows(source):
        if source.position - start > MAX_DIRECTORY_BYTES:
            message = (
                f"{passed.what}: the central directory has more than {MAX_DIRECTORY_BYTES} bytes, "
                "expected some 30,000; it is refused."
            )
            raise UnsafeContentError(message)
        if passed.facts.pop(row.header_offset, None) != _facts(row):
            raise source.corrupt(f"the central directory contradicts {row.orig_filename!r}")
        check_member(row, passed.what)
    if passed.facts:
        raise source.corrupt(f"the central directory lacks {len(passed.facts)} of {count} members")
    check_end(source, count, start)


def _facts(info: zipfile.ZipInfo) -> tuple[object, ...]:
    flags = info.flag_bits & (UNREADABLE | UTF8)
    sizes = (info.compress_size, info.file_size)
    return (info.orig_filename, flags, info.compress_type, info.CRC, *sizes)
