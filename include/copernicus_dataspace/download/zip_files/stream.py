"""Reads the members of a zip while it passes, from its first byte to its last.

Trusts nothing that the zip says of itself. Its table of members comes last: what only the table
tells (a link, a contradiction) is raised when the bytes of the members have passed.
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
    """Yield the regular files of a zip as they pass; ends behind its table of members.

    What was read of them is verified once this has ended. Members that nobody reads are passed
    uninflated and without a look at their CRC, unless their size stands behind them.

    Args:
        chunks: The zip, cut anywhere; one piece and some 100 kB are held at a time. What it raises
            comes through as it is.
        what: Names the zip in messages, as the subject of a sentence.

    Raises:
        CorruptDownloadError: Not a zip, truncated, followed by more, or in contradiction to itself;
            a member is encrypted or compressed in an unusual way.
        UnsafeContentError: A path leaves its folder, a link, two members of one name, more than
            one top folder, more than any product, or a member that inflates beyond reason.
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
    """One regular file, to be read before the iterator that gave it goes on.

    Attributes:
        path: Below the top folder.
    """

    path: str
    _body: Body

    def chunks(self) -> Iterator[bytes]:
        """Yield the inflated bytes, up to 1 MiB each; goes on where it was left before.

        Raises:
            CorruptDownloadError: The bytes contradict their CRC or size, or the zip ends early.
            UnsafeContentError: They inflate beyond reason.
            ValueError: The iterator of the members has gone on, so that the bytes are gone.
        """
        while piece := self._body.read():
            yield piece


class _Passed:
    """What has passed already, which limits what may follow.

    Attributes:
        root: The top folder of all of them.
        facts: What the table must say of the members, by where they begin.
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
        """Refuse a member that must not be in one zip with those before it."""
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
        """Refuse a member, as far as its size is known, that is one too many or a bomb."""
        count, total_bytes = len(self.facts) + 1, self._total_bytes + info.file_size
        if count > MAX_MEMBERS or total_bytes > MAX_TOTAL_BYTES:
            message = (
                f"{self.what} holds {count} members of {total_bytes} bytes, or more; "
                f"expected at most {MAX_MEMBERS} of {MAX_TOTAL_BYTES}; it is refused."
            )
            raise UnsafeContentError(message)
        check_inflation(info, f"{self.what}: {info.orig_filename}")

    def add(self, info: zipfile.ZipInfo) -> None:
        """Count a member that has passed."""
        self.facts[info.header_offset] = _facts(info)
        self._total_bytes += info.file_size


def _check_table(source: Source, passed: _Passed) -> None:
    """Read the table of members, and compare it with what passed."""
    start, count = source.position, len(passed.facts)
    for row in table_rows(source):
        if source.position - start > MAX_DIRECTORY_BYTES:
            message = (
                f"{passed.what}: the table of members has more than {MAX_DIRECTORY_BYTES} bytes, "
                "expected some 30,000; it is refused."
            )
            raise UnsafeContentError(message)
        if passed.facts.pop(row.header_offset, None) != _facts(row):
            raise source.corrupt(f"its table of members contradicts {row.orig_filename!r}")
        check_member(row, passed.what)
    if passed.facts:
        raise source.corrupt(f"its table of members lacks {len(passed.facts)} of {count}")
    check_end(source, count, start)


def _facts(info: zipfile.ZipInfo) -> tuple[object, ...]:
    flags = info.flag_bits & (UNREADABLE | UTF8)
    sizes = (info.compress_size, info.file_size)
    return (info.orig_filename, flags, info.compress_type, info.CRC, *sizes)
