"""Reading manifests: genuine ones, broken ones, hostile ones."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copernicus_dataspace.errors import CorruptDownloadError, DataSpaceError, UnsafeContentError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.manifest import (
    MAX_MANIFEST_BYTES,
    SafeFile,
    check_distinct,
    check_path,
    parse_manifest,
)

MD5 = hashlib.md5(b"band", usedforsecurity=False).hexdigest()
SHA3 = hashlib.sha3_256(b"band").hexdigest()


def entry(href: str, size: str = 'size="4"', name: str = "MD5", value: str = MD5) -> str:
    checksum = f'<checksum checksumName="{name}">{value}</checksum>' if name else ""
    return (
        f'<dataObject ID="x"><byteStream mimeType="a" {size}>'
        f'<fileLocation locatorType="URL" href="{href}"/>{checksum}</byteStream></dataObject>'
    )


def manifest(*entries: str, prefix: str = "xfdu:", prolog: str = "") -> bytes:
    declaration = f"xmlns{':' if prefix else ''}{prefix.rstrip(':')}"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}'
        f'<{prefix}XFDU {declaration}="urn:ccsds:schema:xfdu:1">'
        f"<dataObjectSection>{''.join(entries)}</dataObjectSection></{prefix}XFDU>"
    ).encode()


def test_reads_path_size_and_checksum() -> None:
    (file,) = parse_manifest(manifest(entry("./GRANULE/A/B04.jp2")))

    assert file == SafeFile("GRANULE/A/B04.jp2", 4, Checksum("MD5", MD5))
    assert file.name == "B04.jp2"


@pytest.mark.parametrize("prefix", ["xfdu:", "sentinel:", ""])
def test_any_namespace_prefix(prefix: str) -> None:
    assert len(parse_manifest(manifest(entry("./a"), prefix=prefix))) == 1


def test_algorithm_and_hex_case_belong_to_each_entry() -> None:
    files = parse_manifest(
        manifest(
            entry("./a", value=MD5.upper()),
            entry("./b", name="SHA3-256", value=f" {SHA3.upper()} "),
            entry("./c", name="SHA3-256", value=SHA3),
            entry("d"),
        )
    )

    assert [str(file.checksum) for file in files] == [
        f"MD5 {MD5}",
        f"SHA3-256 {SHA3}",
        f"SHA3-256 {SHA3}",
        f"MD5 {MD5}",
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("", ""), ("CRC32", "12345678"), ("MD5", SHA3), ("SHA3-256", "")]
)
def test_no_usable_checksum_is_none(name: str, value: str) -> None:
    (file,) = parse_manifest(manifest(entry("./a", name=name, value=value)))

    assert file.checksum is None


def test_the_first_usable_of_several_checksums_counts() -> None:
    both = entry("./a", name="CRC32", value="12345678").replace(
        "</byteStream>", f'<checksum checksumName="MD5">{MD5}</checksum></byteStream>'
    )

    (file,) = parse_manifest(manifest(both))

    assert file.checksum == Checksum("MD5", MD5)


@pytest.mark.parametrize("size", ["", 'size=""', 'size="-1"', 'size="many"', f'size="{9**9**3}"'])
def test_a_size_that_is_no_size_is_none(size: str) -> None:
    (file,) = parse_manifest(manifest(entry("./a", size=size)))

    assert file.size_bytes is None


def test_the_same_entry_twice_is_one_file() -> None:
    assert len(parse_manifest(manifest(entry("./a"), entry("./a")))) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"code":"DAT-ZIP-915","message":"No objects to stream"}',
        b"<!DOCTYPE html><html><body>Bad gateway</body></html>",
        b"<html><body>Bad gateway</body></html>",
        manifest(entry("./a"))[:-20],
        manifest(),
        b'<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"/>',
        b"\x00" * 4096,
        b'<?xml version="1.0" encoding="rot13"?><XFDU/>',
        b'<?xml version="1.0" encoding="no-such-code"?><XFDU/>',
        b"PK\x03\x04",
    ],
)
def test_what_is_no_manifest_is_a_corrupt_download(content: bytes) -> None:
    with pytest.raises(CorruptDownloadError, match="manifest"):
        parse_manifest(content)


def test_another_root_element_is_refused_whatever_is_inside() -> None:
    with pytest.raises(CorruptDownloadError, match="root element is 'html', expected 'XFDU'"):
        parse_manifest(manifest(entry("./a")).replace(b"xfdu:XFDU", b"html"))


def test_entities_are_refused_unexpanded() -> None:
    entities = "".join(
        f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' if n else '<!ENTITY e0 "lol">' for n in range(12)
    )
    bomb = manifest(entry("./&e11;"), prolog=f"<!DOCTYPE XFDU [{entities}]>")

    with pytest.raises(CorruptDownloadError, match="DTD"):
        parse_manifest(bomb)


def test_an_external_entity_is_refused() -> None:
    prolog = '<!DOCTYPE XFDU [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

    with pytest.raises(CorruptDownloadError, match="DTD"):
        parse_manifest(manifest(entry("./a", value="&x;"), prolog=prolog))


def test_a_huge_manifest_is_refused() -> None:
    with pytest.raises(CorruptDownloadError, match="more than"):
        parse_manifest(b" " * (MAX_MANIFEST_BYTES + 1))


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("../x", "leaves its folder"),
        ("a/../../x", "leaves its folder"),
        ("a/..", "leaves its folder"),
        ("a\\..\\x", "backslash"),
        ("\\\\server\\share", "backslash"),
        ("C:x", "colon"),
        ("file:///etc/passwd", "colon"),
        ("https://example.org/x", "colon"),
        ("a//b", "empty part"),
        ("a/./b", "empty part"),
        ("a/", "empty part"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\u202eb", "invisible"),
        ("a/.. /b", "dot or blank"),
        ("a./b", "dot or blank"),
        ("a" * 201, "too long"),
        ("é" * 101, "too long"),
        ("/".join(["a" * 100] * 10), "too long"),
    ],
)
def test_unsafe_paths_are_refused_with_the_reason(path: str, fault: str) -> None:
    with pytest.raises(UnsafeContentError, match=fault):
        check_path(path, "The manifest")


@pytest.mark.parametrize(
    "href", ["/abs", "../x", "./../x", "././x", "a\\b", "C:/x", "", "./", "a&#10;b", "http://h/x"]
)
def test_unsafe_hrefs_are_refused(href: str) -> None:
    with pytest.raises(UnsafeContentError):
        parse_manifest(manifest(entry("./fine"), entry(href)))


def test_a_stream_without_a_place_is_refused() -> None:
    with pytest.raises(UnsafeContentError, match="empty"):
        parse_manifest(manifest("<dataObject><byteStream size='1'/></dataObject>"))


@pytest.mark.parametrize(
    "second",
    [entry("./A/b", size='size="5"'), entry("./A/b", name=""), entry("./a/B"), entry("./A/b/c")],
)
def test_files_that_contradict_each_other_are_refused(second: str) -> None:
    with pytest.raises(UnsafeContentError):
        parse_manifest(manifest(entry("./A/b"), second))


@pytest.mark.parametrize("pair", [("a", "a"), ("ﬁ", "fi"), ("é", "e\u0301"), ("ß", "SS")])
def test_one_place_written_in_two_ways_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(UnsafeContentError, match="the same file on some systems"):
        check_distinct(list(pair), "The archive")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(content: bytes) -> None:
    with pytest.raises(DataSpaceError):
        parse_manifest(content)


@given(st.text(max_size=40))
@example("a/..")
@example("..")
def test_an_accepted_path_stays_below_its_folder(path: str) -> None:
    try:
        check_path(path, "The manifest")
    except UnsafeContentError:
        return
    root = Path("/data/product")
    target = Path(f"{root}/{path}")
    assert target.is_relative_to(root)
    assert ".." not in target.parts
    assert target.relative_to(root).as_posix() == path


def test_real_manifests_list_what_their_product_holds(real_product: Path) -> None:
    with zipfile.ZipFile(real_product) as archive:
        names = archive.namelist()
        root = names[0].partition("/")[0]
        files = parse_manifest(archive.read(f"{root}/manifest.safe"))

    assert len(files) >= 86
    assert {f"{root}/{file.path}" for file in files} <= set(names)
    assert all(file.checksum and file.size_bytes is not None for file in files)
