"""Product zips: genuine ones come out byte for byte, hostile ones are data and never a crash."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copernicus_dataspace.download.zip_files.product_zip import open_zip
from copernicus_dataspace.errors import (
    CorruptDownloadError,
    CorruptProductError,
    DataSpaceError,
    UnsafeContentError,
)
from copernicus_dataspace.models.checksum import Checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "S2B_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T103000.SAFE"
SCL = "GRANULE/G/IMG_DATA/R20m/T36TXL_20240801T083601_SCL_20m.jp2"
PRODUCT = {SCL: b"\x00\x00\x00\x0cjP  " + bytes(range(256)) * 64, "MTD_MSIL2A.xml": b"<mtd/>" * 99}


def sha3(content: bytes) -> str:
    return hashlib.sha3_256(content).hexdigest()


def manifest(files: Mapping[str, bytes], sizes: Mapping[str, int | None] | None = None) -> bytes:
    entries = "".join(
        f'<dataObject><byteStream size="{(sizes or {}).get(path, len(content))}">'
        f"<fileLocation href={quoteattr('./' + path)}/>"
        f'<checksum checksumName="SHA3-256">{sha3(content)}</checksum></byteStream></dataObject>'
        for path, content in files.items()
    )
    return f"<XFDU><dataObjectSection>{entries}</dataObjectSection></XFDU>".encode()


def member(name: str, **attributes: object) -> zipfile.ZipInfo:
    """Return an entry that `zipfile` writes as it is, whatever its name holds."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def product(
    extra: Mapping[str, bytes] | None = None,
    *infos: zipfile.ZipInfo,
    files: Mapping[str, bytes] = PRODUCT,
    listing: bytes | None = None,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """Return a product's zip; `extra` and `infos` are members below no folder of their own."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # duplicate names are the point
        archive.writestr(f"{ROOT}/", b"")
        archive.writestr(f"{ROOT}/manifest.safe", listing or manifest(PRODUCT))
        for path, body in files.items():
            archive.writestr(f"{ROOT}/{path}", body)
        for name, body in (extra or {}).items():
            archive.writestr(member(name), body)
        for info in infos:
            archive.writestr(info, b"extra")
    return content.getvalue()


def failures(content: bytes) -> tuple[str, ...]:
    with open_zip(io.BytesIO(content)) as archive:
        return archive.failures()


def saved(content: bytes, path: str, target: Path) -> bytes:
    with open_zip(io.BytesIO(content)) as archive:
        (file,) = (file for file in archive.files if file.path == path)
        archive.save(file, target)
    return target.read_bytes()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_product_is_read_as_its_manifest_says(tmp_path: Path, method: int) -> None:
    path = tmp_path / "product.zip"
    path.write_bytes(product(method=method))
    target = tmp_path / "out.jp2"

    with open_zip(path) as archive:
        written = archive.save(archive.files[0], target)

        assert archive.root == ROOT
        assert [file.path for file in archive.files] == list(PRODUCT)
        assert archive.failures() == ()
    assert target.read_bytes() == PRODUCT[SCL]
    assert written.size_bytes == len(PRODUCT[SCL])
    assert written.checksum == Checksum("SHA3-256", sha3(PRODUCT[SCL]))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out.jp2", "product.zip"]


def test_a_given_file_object_stays_open() -> None:
    stream = io.BytesIO(product())

    with open_zip(stream):
        pass

    assert not stream.closed


def test_members_the_manifest_does_not_list_are_ignored(tmp_path: Path) -> None:
    unreadable = member(f"{ROOT}/HTML/banner.png", compress_type=zipfile.ZIP_BZIP2)

    assert saved(product({}, unreadable), SCL, tmp_path / "x") == PRODUCT[SCL]


class CountingReads(io.BytesIO):
    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


def test_one_member_is_read_without_the_others(tmp_path: Path) -> None:
    big = {f"GRANULE/G/IMG_DATA/B{number:02}.jp2": bytes(2_000_000) for number in range(10)}
    files = {**big, **PRODUCT}
    stream = CountingReads(product(files=files, listing=manifest(files)))

    with open_zip(stream) as archive:
        archive.save(archive.files[-2], tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == PRODUCT[SCL]
    assert stream.bytes_read < len(PRODUCT[SCL]) + 100_000


def test_wrong_bytes_of_the_right_length_are_refused(tmp_path: Path) -> None:
    wrong = {**PRODUCT, SCL: b"\x01" + PRODUCT[SCL][1:]}
    target = tmp_path / "out.jp2"
    target.write_bytes(b"earlier")
    size = f"{len(PRODUCT[SCL])} bytes with SHA3-256"
    line = f"{SCL}: {size} {sha3(wrong[SCL])}, the manifest says {size} {sha3(PRODUCT[SCL])}"

    with pytest.raises(CorruptProductError) as raised:
        saved(product(files=wrong), SCL, target)

    assert raised.value.members == (line,)
    assert ROOT in str(raised.value)
    assert line in str(raised.value)
    assert failures(product(files=wrong)) == (line,)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jp2"]
    assert target.read_bytes() == b"earlier"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_flipped_bit_is_named(tmp_path: Path, method: int) -> None:
    broken = bytearray(product(method=method))
    broken[broken.find(f"{ROOT}/{SCL}".encode()) + len(f"{ROOT}/{SCL}") + 100] ^= 0x10

    (line,) = failures(bytes(broken))
    assert line.startswith(f"{SCL}: cannot be read from the zip: ")
    with pytest.raises(CorruptProductError) as raised:
        saved(bytes(broken), SCL, tmp_path / "x")
    assert raised.value.members == (line,)
    assert not list(tmp_path.iterdir())


def test_a_wrong_size_in_the_manifest_is_outweighed_by_the_checksum(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = product(listing=manifest(PRODUCT, {SCL: 7}))

    assert saved(content, SCL, tmp_path / "x") == PRODUCT[SCL]
    assert "the manifest says 7" in caplog.text
    assert failures(content) == ()


def test_without_a_checksum_a_wrong_size_is_refused(tmp_path: Path) -> None:
    content = product(listing=manifest(PRODUCT, {SCL: 7}).replace(b"SHA3-256", b"CRC"))
    difference = f"received {len(PRODUCT[SCL])} bytes, the manifest says 7"

    with pytest.raises(CorruptProductError, match=difference):
        saved(content, SCL, tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_without_size_and_checksum_the_crc_remains(tmp_path: Path) -> None:
    listing = manifest(PRODUCT, {SCL: None}).replace(b"SHA3-256", b"CRC")

    assert saved(product(listing=listing), SCL, tmp_path / "x") == PRODUCT[SCL]


def test_a_missing_member_is_named(tmp_path: Path) -> None:
    content = product(files={"MTD_MSIL2A.xml": PRODUCT["MTD_MSIL2A.xml"]})
    line = f"{SCL}: missing in the zip"

    assert failures(content) == (line,)
    with pytest.raises(CorruptProductError) as raised:
        saved(content, SCL, tmp_path / "x")
    assert raised.value.members == (line,)


def test_failures_name_every_file_that_is_missing() -> None:
    with open_zip(io.BytesIO(product(files={}))) as archive:
        failed = [line.partition(": ")[0] for line in archive.failures()]
        assert failed == [file.path for file in archive.files]
        assert failed


def test_an_unsafe_manifest_refuses_the_archive_and_names_the_product() -> None:
    with pytest.raises(UnsafeContentError, match=rf"{ROOT}: .*'\.\./evil'"):
        failures(product(listing=manifest({"../evil": b""})))


@pytest.mark.parametrize("listing", [b"{}", b"<html></html>", manifest(PRODUCT)[:-9]])
def test_a_useless_manifest_is_a_corrupt_product(listing: bytes) -> None:
    with pytest.raises(CorruptProductError, match=ROOT):
        failures(product(listing=listing))


def test_a_missing_manifest_is_a_corrupt_product() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{ROOT}/MTD_MSIL2A.xml", b"")

    with pytest.raises(CorruptProductError) as raised:
        failures(content.getvalue())
    assert raised.value.members == ("manifest.safe: missing in the zip",)


def test_a_huge_manifest_is_refused() -> None:
    listing = manifest(PRODUCT) + random.Random(5).randbytes(2**20) + b" " * 2**24  # noqa: S311

    with pytest.raises(CorruptProductError, match=r"The manifest has \d+ bytes, more than"):
        failures(product(listing=listing, method=zipfile.ZIP_DEFLATED))


def test_the_message_names_the_file_and_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "product.zip"
    path.write_bytes(b'{"code":"DAT-ZIP-100"}')

    with (
        pytest.raises(CorruptDownloadError, match=r"product\.zip is not .*DAT-ZIP-100"),
        open_zip(path),
    ):
        pass


@given(
    st.sampled_from([product(), product(method=zipfile.ZIP_DEFLATED)]),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_no_damage_crashes_or_passes(
    content: bytes, damage: list[tuple[int, int]], in_table: bool
) -> None:
    start = content.index(b"PK\x01\x02") if in_table else 0
    data = bytearray(content)
    for position, mask in damage:
        data[start + position % (len(data) - start)] ^= mask
    with tempfile.TemporaryDirectory() as folder:
        with contextlib.suppress(DataSpaceError):
            _extract_naively(bytes(data), Path(folder))
        for path in Path(folder).rglob("*"):
            assert path.is_dir() or path.read_bytes() == PRODUCT[str(path.relative_to(folder))]


SEGMENT = st.sampled_from(["..", ".", "", "a", "b", "A", "C:", "a\\b", "x\x00", "\u202e", "~", " "])
HOSTILE_PATH = st.one_of(
    st.lists(SEGMENT, min_size=1, max_size=4).map("/".join),
    st.text(st.characters(codec="utf-8"), max_size=12),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(HOSTILE_PATH, st.sampled_from(["zip", "manifest", "both"])), max_size=4))
@example([("../evil", "both")])
@example([("/evil", "manifest")])
@example([("a/b", "both"), ("a/c", "both"), ("c", "manifest"), ("d", "zip")])
def test_nothing_is_ever_written_outside_the_folder(paths: list[tuple[str, str]]) -> None:
    held = {path: b"evil" for path, where in paths if where != "manifest"}
    listed = {path: b"evil" for path, where in paths if where != "zip" and path.isprintable()}
    content = product(
        {f"{ROOT}/{path}": body for path, body in held.items()},
        listing=manifest({**listed, **PRODUCT}),
    )
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Path(folder).resolve()
        root = sandbox / "one" / "two" / ROOT
        root.mkdir(parents=True)
        with contextlib.suppress(UnsafeContentError):
            _extract_naively(content, root)
        written = [path for path in sandbox.rglob("*") if not path.is_dir()]
        assert all(path.resolve().is_relative_to(root) for path in written)
        assert {path.relative_to(root).as_posix() for path in written} <= {*held, *PRODUCT}


def _extract_naively(content: bytes, root: Path) -> None:
    with open_zip(io.BytesIO(content)) as archive:
        for file in archive.files:
            target = root / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(CorruptProductError):
                archive.save(file, target)


def test_real_products_pass_or_name_their_subsampled_bands(real_product: Path) -> None:
    with open_zip(real_product) as archive:
        lines = archive.failures()

    failed = [line.partition(": ")[0] for line in lines]
    if "MSIL2A" in real_product.name:
        assert not failed
        return
    assert len(failed) == 15
    assert all(name.endswith(".jp2") for name in failed)
    assert all(" bytes with " in line and "the manifest says" in line for line in lines)


def test_real_members_come_out_byte_for_byte(real_product: Path, tmp_path: Path) -> None:
    with open_zip(real_product) as archive, zipfile.ZipFile(real_product) as reference:
        failed = {line.partition(": ")[0] for line in archive.failures()}
        for file in archive.files:
            target = tmp_path / file.name
            if file.path in failed:
                with pytest.raises(CorruptProductError):
                    archive.save(file, target)
                continue
            archive.save(file, target)
            assert target.read_bytes() == reference.read(f"{archive.root}/{file.path}")
