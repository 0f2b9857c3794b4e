"""A zip brings its own manifest: none that is asked for by itself can keep the zip away."""

import hashlib
import shutil
import zipfile

import pytest

from copernicus_dataspace.errors import (
    BandError,
    CorruptDownloadError,
    CorruptProductError,
    CredentialsError,
    ProductUnavailableError,
)
from copernicus_dataspace_emulator import Fault
from copernicus_dataspace_emulator.products.content import open_content
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of, transfers

ZIP = r"Products\([^)]*\)/\$value"
KEEP = pytest.mark.parametrize("keep", [False, True], ids=["passing", "kept"])


@pytest.fixture
def gone(connected):
    """The manifest cannot be had by itself."""
    connected.faults.add(Fault("download", match="manifest.safe", status=404, times=None))
    return connected


@pytest.fixture
def offer(connected):
    """Offer a product whose zip `change` writes anew, given its members in order."""

    def add(change=None, **facts):
        product = connected.add(lake_product(**{"stac": "absent", **facts}))
        if change:
            rewrite(product, change)
        return product

    return add


def rewrite(product, change):
    path = product.content.path
    with zipfile.ZipFile(path) as whole:
        members = {info.filename: whole.read(info) for info in whole.infolist()}
    with zipfile.ZipFile(path, "w") as anew:
        for name, content in change(members).items():
            anew.writestr(name, content)
    product._content = open_content(path)


def manifest_first(members):
    return dict(sorted(members.items(), key=lambda one: not one[0].endswith("manifest.safe")))


def without_manifest(members):
    return {name: one for name, one in members.items() if not name.endswith("manifest.safe")}


def other_scl(members):
    return {
        name: one[::-1] if name.endswith("_SCL_20m.jp2") else one for name, one in members.items()
    }


def without_scl(members):
    return {name: one for name, one in members.items() if not name.endswith("_SCL_20m.jp2")}


def zips(emulator):
    return [one for one in transfers(emulator) if "Nodes" not in one.path]


def manifests(emulator):
    return [one for one in transfers(emulator) if "manifest.safe" in one.path]


def is_delivered(ran, product, *paths):
    """Just these files stand, right, and the run is green."""
    assert ran.errors == []
    assert ran.staged == []
    stem = product.name.removesuffix(".SAFE")
    folder = ran.output / "bands/S2MSI2A/2024/08/01" / stem
    assert {path.name for path in folder.iterdir()} == {
        "item.json",
        *(path.rpartition("/")[2] for path in paths),
    }
    return all(
        (folder / path.rpartition("/")[2]).read_bytes() == product.read(path) for path in paths
    )


def kept(ran):
    zips = ran.output.glob("archive/**/*.zip")
    return [hashlib.md5(one.read_bytes()).hexdigest() for one in zips]  # noqa: S324


@KEEP
@pytest.mark.parametrize("change", [None, manifest_first], ids=["last", "first"])
@pytest.mark.parametrize("checksum", ["full", "N/A"])
def test_a_zip_whose_manifest_is_not_found_is_delivered(
    gone, offer, ingest, keep, change, checksum
):
    product = offer(change, checksum=checksum)
    ran = ingest(transfer="archive", keep_archive=keep)
    assert is_delivered(ran, product, scl_of(product))
    assert kept(ran) == ([product.md5] if keep else [])
    assert (len(manifests(gone)), len(zips(gone))) == (1, 1)


@KEEP
def test_patterns_are_taken_out_of_the_zip_too(gone, offer, ingest, keep):
    """STAC is not even asked about patterns."""
    product = offer(stac="listed")
    wanted = [path for path in product.files if path.endswith(("MTD_TL.xml", "20m.jp2"))]
    bands = ["*/MTD_TL.xml", "*20m.jp2"]
    ran = ingest(transfer="archive", keep_archive=keep, bands=bands)
    assert is_delivered(ran, product, *wanted)


@KEEP
def test_what_the_manifest_does_not_list_is_not_delivered(gone, offer, ingest, keep):
    """The zip holds a quicklook, which could not be verified."""
    assert [path for path in offer().files if path.endswith("-ql.jpg")]
    ran = ingest(transfer="archive", keep_archive=keep, bands=["SCL_20m", "*-ql.jpg"])
    assert type(ran.errors[0]) is BandError
    assert ran.files == []


@KEEP
def test_what_stands_is_not_taken_again(gone, offer, ingest, keep):
    product = offer()
    ingest(transfer="archive", keep_archive=keep)
    (b05,) = (path for path in product.files if path.endswith("_B05_20m.jp2"))
    ran = ingest(
        make_context(run_id="more"), transfer="archive", keep_archive=keep, bands=["SCL_20m", "B05"]
    )
    assert is_delivered(ran, product, scl_of(product), b05)
    assert len(zips(gone)) == (1 if keep else 2)


@KEEP
@pytest.mark.parametrize("change", [other_scl, without_scl])
def test_a_zip_that_contradicts_its_manifest_is_refused(gone, offer, ingest, keep, change):
    offer(change)
    ran = ingest(transfer="archive", keep_archive=keep)
    assert type(ran.errors[0]) is CorruptProductError
    assert "SCL_20m" in str(ran.errors[0])
    assert ran.files == kept(ran) == []
    assert not [name for name in ran.staged if name.endswith(".jp2")]


@KEEP
def test_a_zip_without_any_manifest_is_refused(gone, offer, ingest, keep):
    offer(without_manifest)
    ran = ingest(transfer="archive", keep_archive=keep)
    assert type(ran.errors[0]) is CorruptProductError
    assert "manifest.safe" in str(ran.errors[0])
    assert ran.files == kept(ran) == []


@KEEP
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["flipped_bit", "reset_body", "short_body"])
def test_a_zip_that_arrives_wrong_is_fetched_again(gone, offer, ingest, keep, kind, at):
    """Though no list says so: the catalogue tells the checksum of the whole."""
    product = offer()
    gone.faults.add(Fault("download", kind, match=ZIP, at=at))
    ran = ingest(transfer="archive", keep_archive=keep)
    assert is_delivered(ran, product, scl_of(product))
    assert len(zips(gone)) == 2


@KEEP
def test_a_zip_that_always_arrives_wrong_is_never_delivered(gone, offer, ingest, keep):
    offer()
    gone.faults.add(Fault("download", "flipped_bit", match=ZIP, times=None, at=0.99))
    ran = ingest(transfer="archive", keep_archive=keep)
    assert type(ran.errors[0]) is CorruptDownloadError
    assert ran.files == kept(ran) == []


@KEEP
def test_a_zip_that_cannot_be_read_as_it_passes_is_read_from_the_disk(gone, offer, ingest, keep):
    product = offer()
    path = product.content.path
    shutil.move(path, beside := path.with_suffix(".old"))
    path.write_bytes(b"#!/bin/sh\n" + beside.read_bytes())
    product._content = open_content(path)
    ran = ingest(transfer="archive", keep_archive=keep)
    assert is_delivered(ran, product, scl_of(product))
    assert len(zips(gone)) == (1 if keep else 2)


@KEEP
def test_a_wrong_digest_of_stac_is_decided_by_the_manifest_inside(gone, offer, ingest, keep):
    product = offer(stac="wrong")
    ran = ingest(transfer="archive", keep_archive=keep)
    assert is_delivered(ran, product, scl_of(product))
    assert (len(manifests(gone)), len(zips(gone))) == (0, 1)


@KEEP
def test_no_manifest_counts_within_a_zip_that_is_not_the_catalogues(gone, offer, ingest, keep):
    """An old zip of a product that was issued anew agrees with itself."""
    offer(stac="wrong", checksum="wrong")
    ran = ingest(transfer="archive", keep_archive=keep)
    assert type(ran.errors[0]) is CorruptDownloadError
    assert "the catalogue says" in str(ran.errors[0])
    assert ran.files == kept(ran) == []
    assert len(zips(gone)) == 3


@KEEP
@pytest.mark.parametrize("stac", ["listed", "absent"])
def test_a_zip_that_is_not_there_is_asked_for_once(gone, offer, ingest, keep, stac):
    """No list can bring it back: none is asked for afterwards, and the error names the zip."""
    product = offer(stac=stac)
    gone.faults.add(Fault("download", match=ZIP, status=404, times=None))
    ran = ingest(transfer="archive", keep_archive=keep)
    assert type(ran.errors[0]) is ProductUnavailableError
    assert f"{product.name.removesuffix('.SAFE')}.zip" in str(ran.errors[0])
    assert (len(manifests(gone)), len(zips(gone))) == (int(stac == "absent"), 1)


def test_a_refused_account_is_not_tried_again_with_the_zip(connected, offer, ingest):
    offer()
    connected.faults.add(Fault("download", match="manifest.safe", status=401, times=None))
    ran = ingest(transfer="archive")
    assert isinstance(ran.errors[0], CredentialsError)
    assert zips(connected) == []
