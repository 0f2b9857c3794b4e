"""Zips that stream by: what `zipfile` reads is read, however cut; hostile and damaged ones not."""

from __future__ import annotations

import contextlib
import io
import random
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.download.zip_files.members import ZipMembers
from copernicus_dataspace.download.zip_files.stream import stream_members
from copernicus_dataspace.errors import CorruptDownloadError, UnsafeContentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from copernicus_dataspace.download.zip_files.stream import StreamedMember

    Reader = Callable[[Iterable[bytes]], object]

ROOT = "P.SAFE"
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
NOISE = random.Random(5).randbytes(300_000)  # noqa: S311
XML = b"<mtd>" + b"blank " * 200 + b"</mtd>"


@dataclass
class Member:
    """`behind`: the layout of what follows the bytes; `ahead`: what of it the header says."""

    name: str
    content: bytes = b""
    method: int = STORED
    behind: str = ""
    signature: bytes = b"PK\x07\x08"
    ahead: str = ""
    wide: bool = False
    attributes: int = 0
    flags: int = 0x800
    raw: bytes | None = None

    @cached_property
    def stored(self) -> bytes:
        deflater = zlib.compressobj(6 if self.method == DEFLATED else 0, wbits=-15)
        deflated = deflater.compress(self.content) + deflater.flush()
        content = deflated if self.method == DEFLATED else self.content
        return content if self.raw is None else self.raw


def built(members: Iterable[Member], comment: bytes = b"", *, wide_end: bool = False) -> bytes:
    content, table, count = bytearray(), bytearray(), 0
    for count, one in enumerate(members, 1):  # noqa: B007
        flags, raw = one.flags | 8 * bool(one.behind), one.name.encode("utf-8", "surrogateescape")
        crc, sizes = zlib.crc32(one.content), (len(one.stored), len(one.content))
        said = sizes if not one.behind or "sizes" in one.ahead else (0, 0)
        extra = struct.pack("<HHQQ", 1, 16, *said[::-1]) if one.wide else b""
        said = (0xFFFFFFFF, 0xFFFFFFFF) if one.wide else said
        said_crc = crc if not one.behind or "crc" in one.ahead else 0
        facts = (45, flags, one.method, 0, said_crc, *said, len(raw), len(extra))
        local = struct.pack("<4sHHHLLLLHH", b"PK\x03\x04", *facts) + raw + extra
        behind = one.signature + struct.pack(one.behind, crc, *sizes) if one.behind else b""
        facts = (flags, one.method, 0, crc, *sizes, len(raw), one.attributes << 16, len(content))
        table += struct.pack("<4s4xHHLLLLH8xLL", b"PK\x01\x02", *facts) + raw
        content += local + one.stored + behind
    facts, end = (count, count, len(table), len(content)), b""
    if wide_end:
        end = struct.pack("<4sQ12xQQQQ", b"PK\x06\x06", 44, *facts)
        end += struct.pack("<4s4xQL", b"PK\x06\x07", len(content) + len(table), 1)
        facts = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    end += struct.pack("<4s4xHHLLH", b"PK\x05\x06", *facts, len(comment))
    return bytes(content + table + end + comment)


def cut(content: bytes, size: int = 1000) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def read(chunks: Iterable[bytes]) -> dict[str, bytes]:
    return read_all(stream_members(chunks, "The archive of P"))


def read_all(members: Iterable[StreamedMember]) -> dict[str, bytes]:
    return {one.path: b"".join(one.chunks()) for one in members}


def open_stored(chunks: Iterable[bytes]) -> ZipMembers:
    return ZipMembers(io.BytesIO(b"".join(chunks)), "The archive of P")


both_readers = pytest.mark.parametrize("reader", [read, open_stored])


def read_by_zipfile(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        return {info.filename.partition("/")[2]: archive.read(info) for info in infos}


WRITERS = [
    {"method": method, "behind": behind, "signature": signature, "ahead": ahead, "wide": wide}
    for method in (STORED, DEFLATED)
    for behind in ("", "<LLL", "<LQQ")
    for signature in (b"PK\x07\x08", b"")
    for ahead in ("", "sizes", "sizes crc")
    for wide in (False, True)
    if behind or (signature and not ahead)
]
SMALL = {
    "plain": built([Member(f"{ROOT}/a", NOISE[:40]), Member(f"{ROOT}/b", XML, DEFLATED)]),
    "scanned": built(Member(f"{ROOT}/{at}", NOISE[:at], behind="<LLL") for at in (0, 40)),
    "deflated": built([Member(f"{ROOT}/b", XML, DEFLATED, "<LQQ")]),
    "64 bit": built([Member(f"{ROOT}/a", b"abc", wide=True)], b"made by hand", wide_end=True),
}
small = pytest.mark.parametrize("content", SMALL.values(), ids=SMALL)


@pytest.mark.parametrize("size", [1, 3, 1000, 10**7])
@pytest.mark.parametrize("writer", WRITERS, ids=lambda one: " ".join(map(str, one.values())))
def test_every_writer_is_understood(writer: dict, size: int) -> None:
    large = NOISE if size > 3 else NOISE[:300]
    files = {"a/é.jp2": large, "empty": b"", "b": XML, "PK": b"PK\x03\x04PK\x01\x02"}
    folder = Member(f"{ROOT}/a/", attributes=0o040755)
    members = [Member(f"{ROOT}/{path}", body, **writer) for path, body in files.items()]
    content = built([folder, *members])
    unread = [one.path for one in stream_members(cut(content, size), "P")]

    assert read(cut(content, size)) == files == read_by_zipfile(content)
    assert unread == list(files)


def descriptor(layout: str, *numbers: int) -> bytes:
    return b"PK\x07\x08" + struct.pack(layout, *numbers) + b"PK\x03\x04"


@pytest.mark.parametrize("writer", [one for one in WRITERS if one["behind"] and not one["ahead"]])
def test_the_end_is_found_wherever_it_lies_and_nowhere_else(writer: dict) -> None:
    """Windows of 64 kB are searched; right sizes with a wrong CRC, and the reverse, are no end."""
    for size in (*range(65_490, 65_570, 3), 131_000):
        content = NOISE[:size]
        for layout in ("<LLL", "<LQQ"):
            for crc, length in ((7, len(content)), (zlib.crc32(content), 7)):
                content += descriptor(layout, crc, length, length)
        archive = built([Member(f"{ROOT}/a", content, **writer), Member(f"{ROOT}/b", XML)])
        assert read(cut(archive, 2**18)) == {"a": content, "b": XML}


numbers = st.integers(1, 60)
parts = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"PK", b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08", *SMALL.values()]),
    st.tuples(numbers, numbers, numbers).map(lambda fake: descriptor("<LLL", *fake)),
    st.integers(1, 5).map(lambda times: NOISE[: times * 30_000]),
)
nothing = re.compile(rb"(PK\x07\x08)?(\0{12}|\0{20})PK")
"""A stored member that begins with this cannot be told from an empty one while it passes."""
bodies = st.lists(parts, max_size=5).map(b"".join).filter(lambda body: not nothing.match(body))
names = st.lists(st.sampled_from("abcé"), min_size=1, max_size=9).map(lambda x: f"f{''.join(x)}")
files = st.dictionaries(names, bodies, min_size=1, max_size=5)
few = st.lists(st.integers(0, 200), min_size=1, max_size=20)
sizes = few.map(lambda sizes: [*sizes, 2**16]) | st.just([2**18])


def chunked(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield pieces of these sizes, and then of the last one."""
    stream = io.BytesIO(content)
    yield from (stream.read(size) for size in sizes)
    yield from iter(lambda: stream.read(sizes[-1]), b"")


@given(files, st.lists(st.sampled_from(WRITERS), min_size=5, max_size=5), sizes, st.booleans())
def test_any_members_of_any_writer_are_read(
    files: dict[str, bytes], writers: list[dict], sizes: list[int], wide_end: bool
) -> None:
    facts = zip(files.items(), writers, strict=False)
    members = (Member(f"{ROOT}/{path}", body, **writer) for (path, body), writer in facts)

    assert read(chunked(built(members, b"PK", wide_end=wide_end), sizes)) == files


class Pipe(io.BytesIO):
    def tell(self) -> int:
        raise OSError


@given(files, st.sampled_from([STORED, DEFLATED]), sizes, st.booleans(), st.booleans())
def test_what_zipfile_writes_is_read(
    files: dict[str, bytes], method: int, sizes: list[int], wide: bool, seekable: bool
) -> None:
    file = io.BytesIO() if seekable else Pipe()
    with zipfile.ZipFile(file, "w", method) as archive:
        for path, body in files.items():
            with archive.open(f"{ROOT}/{path}", "w", force_zip64=wide) as member:
                member.write(body)

    content = file.getvalue()
    assert bool(content[6] & 0x8) != seekable
    assert read(chunked(content, sizes)) == read_by_zipfile(content) == files


plans = st.lists(st.tuples(st.sampled_from(WRITERS), st.integers(0, 3)), min_size=1, max_size=6)


@given(plans, sizes)
def test_members_may_be_left_unread_or_half_read(
    plan: list[tuple[dict, int]], sizes: list[int]
) -> None:
    members = (Member(f"{ROOT}/{at}", NOISE[at:], **writer) for at, (writer, _) in enumerate(plan))
    chunks = chunked(built(members), sizes)
    for at, one in enumerate(stream_members(chunks, "P")):
        pieces, wanted = one.chunks(), plan[at][1]
        received = b"".join(next(pieces, b"") for _ in range(wanted))
        assert NOISE[at:].startswith(received)
        if wanted == 3:
            pieces.close()
            assert received + b"".join(one.chunks()) == NOISE[at:]


def test_real_products_are_read(real_product) -> None:
    content = real_product.read_bytes()

    assert read(cut(content, 2**18)) == read_by_zipfile(content)


def test_nothing_is_read_ahead_and_nothing_after_a_stop() -> None:
    content = built(Member(f"{ROOT}/{at}", NOISE) for at in range(4))
    chunks = iter(cut(content))
    members = stream_members(chunks, "P")

    assert b"".join(next(members).chunks()) == NOISE
    members.close()
    passed = 30 + len(f"{ROOT}/0") + len(NOISE)
    assert len(b"".join(chunks)) == len(content) - (passed // 1000 + 1) * 1000


@pytest.mark.parametrize("writer", WRITERS[:: len(WRITERS) // 6])
def test_errors_of_the_connection_come_through(writer: dict) -> None:
    def broken() -> Iterator[bytes]:
        yield built([Member(f"{ROOT}/a", NOISE, **writer)])[:1500]
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        read(broken())


def test_bytes_that_have_passed_cannot_be_read() -> None:
    members = list(stream_members([SMALL["plain"]], "P"))
    with pytest.raises(ValueError, match="must be read before the next"):
        next(members[0].chunks())


@pytest.mark.parametrize("writer", WRITERS[:: len(WRITERS) // 6])
def test_reading_on_after_the_next_member_was_requested_is_refused(writer: dict) -> None:
    large = NOISE * (2**22 // len(NOISE))
    content = built([Member(f"{ROOT}/a", large, **writer), Member(f"{ROOT}/b", NOISE)])
    members = stream_members(cut(content, 2**16), "P")
    begun = next(members).chunks()
    next(begun)
    next(members)
    with pytest.raises(ValueError, match="a must be read before the next"):
        next(begun)


@small
@pytest.mark.parametrize("consume", [read, lambda chunks: list(stream_members(chunks, "The arc"))])
def test_every_truncation_is_a_corrupt_download(content: bytes, consume) -> None:
    for length in range(len(content)):
        with pytest.raises(CorruptDownloadError, match=rf"^The arc.* {length} bytes were received"):
            consume(cut(content[:length], 50))


@small
@pytest.mark.parametrize("more", [b"\0", b"PK\x05\x06", SMALL["plain"], bytes(100)])
def test_more_behind_the_end_is_a_corrupt_download(content: bytes, more: bytes) -> None:
    with pytest.raises(CorruptDownloadError, match=r"is not a complete zip: .* were received"):
        read(cut(content + more, 7))


@small
def test_flipped_bits_never_give_wrong_bytes(content: bytes) -> None:
    right = read([content])
    for bit in range(len(content) * 8):
        data = bytearray(content)
        data[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(CorruptDownloadError, UnsafeContentError):
            assert read([bytes(data)]) == right


@given(st.sampled_from(list(SMALL.values())), st.data())
def test_any_damage_never_gives_wrong_bytes(content: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    damaged = content[:start] + data.draw(st.binary(max_size=20)) + content[end:]

    with contextlib.suppress(CorruptDownloadError, UnsafeContentError):
        assert read(cut(damaged, 60)) == read([content])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"code":"DAT-ZIP-915","message":"No objects to stream"}',
        b"<html><body>502 Bad Gateway</body></html>" * 100,
        b"PK\x05\x06" + bytes(18),
        b"#!/bin/sh\n" + SMALL["plain"],
    ],
)
def test_what_is_no_zip_is_a_corrupt_download(content: bytes) -> None:
    with pytest.raises(
        CorruptDownloadError, match=r"^The archive of P is not .* again.$"
    ) as raised:
        read(cut(content))
    assert f"begins with {content[:40]!r}; {min(len(content), 1000)} bytes" in str(raised.value)


FIRST = Member(f"{ROOT}/a/b.jp2", NOISE[:99])


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Member(f"{ROOT}/x", flags=0x801), "is encrypted"),
        (Member(f"{ROOT}/x", method=9), "compressed by method 9"),
        (Member(f"{ROOT}/x", b"abc", raw=b"ab"), "stores 2 bytes, the zip says 3"),
        (Member(f"{ROOT}/x", b"abc", raw=b"abd"), "has the CRC-32"),
        (Member(f"{ROOT}/x", b"abc", raw=b"abd", behind="<LLL"), "does not end"),
        (Member(f"{ROOT}/x", b"abc", DEFLATED, raw=b"\xff"), "cannot be inflated"),
        (Member(f"{ROOT}/x", b"abc", DEFLATED, raw=b"K"), "does not end within 1 deflated"),
        (Member(f"{ROOT}/x", b"abc", DEFLATED, raw=b"KLJ\x06\0\0"), "inflates from 5 to 3 bytes"),
        (Member(f"{ROOT}/x", b"ab", DEFLATED, raw=b"KLJ\x06\0"), "inflates from 5 to 3 bytes"),
        (Member(f"{ROOT}/\udcff"), "can't decode byte 0xff"),
    ],
)
def test_what_cannot_be_read_is_named(bad: Member, problem: str) -> None:
    with pytest.raises(
        CorruptDownloadError, match=f"^The archive of P is not a complete.*{problem}"
    ):
        read(cut(built([FIRST, bad])))


UNSAFE_NAMES = (
    "../evil",
    f"{ROOT}/../../evil",
    f"{ROOT}/..",
    "/evil",
    "//host/share/evil",
    "C:/evil",
    f"{ROOT}/a\\..\\..\\evil",
    f"{ROOT}/a\x00.jp2",
    f"{ROOT}/a\nb",
    f"{ROOT}/./a",
    f"{ROOT}//a",
    f"{ROOT}/a/../b",
    "",
)


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_an_unsafe_name_is_refused_before_it_is_given(name: str) -> None:
    content = built([FIRST, Member(name)])
    members = stream_members([content], "P")
    next(members)
    refused = pytest.raises(UnsafeContentError, match=f"the path {re.escape(repr(name))}, which")
    with refused:
        next(members)
    with refused:
        open_stored([content])


@both_readers
@pytest.mark.parametrize("name", ["a/b.jp2", "A/B.JP2", "A", "a/B.jp2/c/d", "\N{KELVIN SIGN}"])
def test_members_that_claim_one_place_are_refused(reader: Reader, name: str) -> None:
    others = [Member(f"{ROOT}/{path}") for path in ("a-", "k", "a/c", "a.x")]
    with pytest.raises(UnsafeContentError, match=r"holds .* refused"):
        reader([built([FIRST, *others, Member(f"{ROOT}/{name}")])])


@both_readers
@pytest.mark.parametrize("name", ["OTHER.SAFE/manifest.safe", "readme.txt", "p.safe/x", "Q.SAFE/"])
def test_a_second_top_folder_is_refused(reader: Reader, name: str) -> None:
    with pytest.raises(UnsafeContentError, match="holds 2 top folders"):
        reader([built([FIRST, Member(name)])])


@both_readers
@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666, 0o140666, 0o040755])
def test_links_and_devices_are_refused(reader: Reader, mode: int) -> None:
    with pytest.raises(UnsafeContentError, match=f"'{ROOT}/x' is a link or device"):
        reader([built([FIRST, Member(f"{ROOT}/x", b"/etc", attributes=mode)])])


@pytest.mark.parametrize("behind", ["", "<LLL"])
def test_a_bomb_is_not_inflated(behind: str) -> None:
    content = built([Member(f"{ROOT}/x", bytes(50_000_000), DEFLATED, behind)])
    pieces = (piece for one in stream_members(cut(content), "P") for piece in one.chunks())
    assert not behind or len(next(pieces)) <= 2**20
    with pytest.raises(UnsafeContentError, match="at most 200 times"):
        next(pieces)
    with pytest.raises(UnsafeContentError, match="at most 200 times"):
        open_stored([content])
    small = Member(f"{ROOT}/x", bytes(900_000), DEFLATED, behind)
    assert read([built([small])]) == {"x": small.content}
    assert b"".join(open_stored([built([small])]).chunks("x")) == small.content


@pytest.mark.parametrize("writer", WRITERS)
def test_more_bytes_than_any_product_are_refused(writer: dict) -> None:
    content = built(Member(f"{ROOT}/{at}", NOISE[:150_000], **writer) for at in range(2))
    refused = pytest.raises(UnsafeContentError, match="expected at most 10000 of 200000")
    with refused:
        read_all(stream_members(cut(content), "P", max_total_bytes=200_000))
    with refused:
        ZipMembers(io.BytesIO(content), "P", max_total_bytes=200_000)


def test_thousands_of_members_are_read_but_not_any_number() -> None:
    def crowded(count: int, folder: str = "") -> list[bytes]:
        return cut(built(Member(f"{ROOT}/{at}/{folder}f") for at in range(count)), 2**18)

    assert len(read(crowded(3000))) == 3000
    with pytest.raises(UnsafeContentError, match="has at least 10001 members"):
        read(crowded(10_001))
    with pytest.raises(UnsafeContentError, match="has at least 10001 members"):
        open_stored(crowded(10_001))
    with pytest.raises(UnsafeContentError, match="central directory has more than 4194304 bytes"):
        read(crowded(10_000, 2 * f"{'n' * 200}/"))


def test_a_table_of_other_members_is_refused() -> None:
    members = [Member(f"{ROOT}/{at}", NOISE[:at]) for at in (1, 2, 3)]
    whole = built(members)
    table, first = whole.index(b"PK\x01\x02"), 46 + len(f"{ROOT}/1")
    rows, end = whole[table:-22], whole[-22:]
    for listed, problem in (
        (rows[first:], "lacks 1 of 3"),
        (rows[:first] + rows, f"contradicts '{ROOT}/1'"),
        (rows.replace(b"/2", b"/9"), f"contradicts '{ROOT}/9'"),
        (rows.replace(b"\x02\0\0\0\x02", b"\x03\0\0\0\x03"), f"contradicts '{ROOT}/2'"),
        (b"", "it is empty"),
    ):
        new_end = end[:12] + struct.pack("<L", len(listed)) + end[16:]
        with pytest.raises(CorruptDownloadError, match=problem):
            read([whole[:table] + listed + new_end])
    for wrong in (rows[first:] + end, rows + built(members[:2])[-22:], b"PK" + rows + end):
        with pytest.raises(CorruptDownloadError, match="is not a complete zip"):
            read([whole[:table] + wrong])
    swapped = whole[table + first : -22] + whole[table : table + first] + whole[-22:]
    assert list(read([whole[:table] + swapped])) == ["1", "2", "3"]
