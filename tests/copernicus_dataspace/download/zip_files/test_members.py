"""Zips: members of odd but right ones are read, hostile and damaged ones refused."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from copernicus_dataspace.download.zip_files.central_directory import MAX_DIRECTORY_BYTES
from copernicus_dataspace.download.zip_files.members import ZipMembers
from copernicus_dataspace.errors import CorruptDownloadError, UnsafeContentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Change = Callable[[bytearray, int, int], None]

ROOT = "S2B_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T103000.SAFE"
SCL = "GRANULE/G/IMG_DATA/R20m/T36TXL_20240801T083601_SCL_20m.jp2"
OTHER = "MTD_MSIL2A.xml"
FILES = {SCL: b"\x00\x00\x00\x0cjP  " + bytes(range(256)) * 64, OTHER: b"<mtd/>" * 99}


def member(name: str, **attributes: Any) -> zipfile.ZipInfo:
    """Return an entry that `zipfile` writes as it is, whatever its name holds."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def zipped(
    *extra: zipfile.ZipInfo, files: Mapping[str, bytes] = FILES, method: int = zipfile.ZIP_STORED
) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # duplicate names are the point
        archive.writestr(f"{ROOT}/", b"")
        for path, body in files.items():
            archive.writestr(f"{ROOT}/{path}", body)
        for info in extra:
            archive.writestr(info, b"extra")
    return content.getvalue()


def opened(content: bytes) -> ZipMembers:
    return ZipMembers(io.BytesIO(content), "The archive")


def read(content: bytes, path: str = SCL) -> bytes:
    return b"".join(opened(content).chunks(path))


def patched(content: bytes, name: str, change: Change) -> bytes:
    """Return the zip after a change at a member's header and at its row in the table."""
    data = bytearray(content)
    raw = f"{ROOT}/{name}".encode()
    local, central = data.find(raw) - 30, data.rfind(raw) - 46
    assert data[local : local + 4] == b"PK\x03\x04"
    assert data[central : central + 4] == b"PK\x01\x02"
    change(data, local, central)
    return bytes(data)


def put(layout: str, value: int, *, local: int | None, central: int | None) -> Change:
    def change(data: bytearray, local_start: int, central_start: int) -> None:
        if local is not None:
            struct.pack_into(layout, data, local_start + local, value)
        if central is not None:
            struct.pack_into(layout, data, central_start + central, value)

    return change


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read(method: int) -> None:
    members = opened(zipped(method=method))

    assert members.root == ROOT
    assert {path: b"".join(members.chunks(path)) for path in FILES} == FILES


def test_zip64_headers_are_read() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, body in FILES.items():
            with archive.open(f"{ROOT}/{path}", "w", force_zip64=True) as file:
                file.write(body)

    assert read(content.getvalue()) == FILES[SCL]


class Pipe(io.RawIOBase):
    """Cannot seek, so that sizes are written after the bytes."""

    content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += bytes(data)
        return len(bytes(data))


def test_a_zip_written_as_a_stream_is_read() -> None:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in FILES.items():
            archive.writestr(f"{ROOT}/{path}", body)

    assert struct.unpack_from("<H", pipe.content, 6)[0] & 0x8
    assert read(pipe.content) == FILES[SCL]
    repacked = patched(pipe.content, SCL, put("<H", 0, local=None, central=8))
    assert read(repacked) == FILES[SCL]


def test_a_zip_behind_other_bytes_is_read() -> None:
    assert read(b"#!/bin/sh\n" + zipped()) == FILES[SCL]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put("<H", 1, local=6, central=8), "is encrypted"),
        (put("<H", 1, local=None, central=8), "is encrypted"),
        (put("<H", 1, local=6, central=None), "local header contradicts"),
        (put("<H", 9, local=8, central=10), "compressed by method 9"),
        (put("<H", 12, local=8, central=10), "compressed by method 12"),
        (put("<H", 14, local=8, central=10), "compressed by method 14"),
        (put("<H", 8, local=8, central=None), "local header contradicts"),
        (put("<L", 5, local=14, central=None), "local header contradicts"),
        (put("<L", 5, local=18, central=None), "local header contradicts"),
        (put("<L", 5, local=22, central=None), "local header contradicts"),
        (put("<L", 5, local=0, central=None), "local header contradicts"),
        (put("<H", 5, local=26, central=None), "local header contradicts"),
        (put("<B", 0x41, local=30, central=None), "local header contradicts"),
        (put("<L", 5, local=22, central=24), "stores 16392 bytes, the zip says 5"),
        (put("<L", 5, local=14, central=16), "Bad CRC-32"),
        (put("<H", 8, local=8, central=10), "cannot be read from the zip"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_read(change: Change, problem: str) -> None:
    content = patched(zipped(), SCL, change)

    with pytest.raises(CorruptDownloadError) as raised:
        read(content)
    assert str(raised.value).startswith(f"{SCL}: ")
    assert problem in str(raised.value)
    assert read(content, OTHER) == FILES[OTHER]


def test_a_missing_member_is_named() -> None:
    with pytest.raises(CorruptDownloadError, match=r"^no/such: missing in the zip$"):
        read(zipped(), "no/such")


def test_a_member_longer_than_declared_gives_no_byte_too_many() -> None:
    content = zipped(files={SCL: b"A" * 100_000}, method=zipfile.ZIP_DEFLATED)
    members = opened(patched(content, SCL, put("<L", 1000, local=22, central=24)))
    received = 0

    with pytest.raises(CorruptDownloadError, match="CRC"):  # noqa: PT012
        for chunk in members.chunks(SCL):
            received += len(chunk)
    assert received <= 1000


def test_a_member_shorter_than_declared_is_refused() -> None:
    content = zipped(method=zipfile.ZIP_DEFLATED)

    with pytest.raises(CorruptDownloadError, match=r"inflates to 16392 bytes, the zip says 99999$"):
        read(patched(content, SCL, put("<L", 99_999, local=22, central=24)))


def test_overlapping_members_are_refused() -> None:
    at_the_start = put("<L", 0, local=None, central=42)

    with pytest.raises(UnsafeContentError, match="overlaps the next member"):
        opened(patched(zipped(), SCL, at_the_start))


def test_a_member_that_swallows_the_next_is_refused() -> None:
    """A bomb of this kind inflates the same bytes many times."""
    size = len(FILES[SCL]) + 30 + len(f"{ROOT}/{OTHER}")
    swallow = put("<L", size, local=18, central=20)

    with pytest.raises(UnsafeContentError, match=r"SCL_20m\.jp2' overlaps the next member"):
        opened(patched(zipped(), SCL, swallow))


@pytest.mark.parametrize("left", [20, 200])
def test_a_zip_that_shrinks_while_it_is_read_is_refused(left: int) -> None:
    stream = io.BytesIO(zipped())
    members = ZipMembers(stream, "The archive")
    stream.truncate(stream.getvalue().find(f"{ROOT}/{SCL}".encode()) - 30 + left)

    with pytest.raises(CorruptDownloadError, match=SCL):
        b"".join(members.chunks(SCL))


def test_a_member_for_newer_readers_is_refused() -> None:
    with pytest.raises(CorruptDownloadError, match="version"):
        opened(patched(zipped(), SCL, put("<B", 99, local=4, central=6)))


def test_thousands_of_members_are_read() -> None:
    assert read(zipped(files={f"f{number}": b"" for number in range(5000)}), "f4999") == b""


def test_a_huge_table_of_members_is_not_read() -> None:
    content = zipped()
    table = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    row = bytearray(content[table : content.index(b"PK\x01\x02", table + 4)])
    rows = bytes(row) * (MAX_DIRECTORY_BYTES // len(row) + 1)
    tail = bytearray(content[end:])
    struct.pack_into("<L", tail, 12, len(rows))

    with pytest.raises(UnsafeContentError, match="central directory"):
        opened(content[:table] + rows + bytes(tail))


EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b'{"code":"DAT-ZIP-915","message":"No objects to stream"}',
        b"<html><body>502 Bad Gateway</body></html>" * 100,
        bytes(100_000),
        EMPTY_ZIP,
        zipped()[:-1],
        zipped()[:-30],
        zipped()[: len(zipped()) // 2],
        zipped()[:10_000] + zipped()[10_100:],
        zipped()[100:],
        EMPTY_ZIP[:12] + b"\xff" * 8 + b"\0\0",
        b"PK\x06\x07" + bytes(12) + b"\x01\0\0\0" + EMPTY_ZIP,
    ],
)
def test_what_is_no_complete_zip_is_a_corrupt_download(content: bytes) -> None:
    with pytest.raises(CorruptDownloadError, match=r"not a complete zip: .* begins with b'"):
        opened(content)


def test_an_empty_zip_is_a_corrupt_download() -> None:
    with pytest.raises(CorruptDownloadError, match="it is empty"):
        opened(b"#" * 100 + EMPTY_ZIP)


def test_a_name_that_is_no_utf8_is_a_corrupt_download() -> None:
    content = zipped(member(f"{ROOT}/é"))

    with pytest.raises(CorruptDownloadError, match="utf-8"):
        opened(content.replace("é".encode(), b"\xff\xff"))


def test_every_truncation_is_a_corrupt_download() -> None:
    content = zipped()

    for length in range(0, len(content), 131):
        with pytest.raises(CorruptDownloadError):
            opened(content[:length])
