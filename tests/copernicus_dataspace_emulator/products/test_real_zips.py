import hashlib
import zipfile

import pytest

from copernicus_dataspace_emulator import Emulator

L2A = "S2A_MSIL2A_20241014T101021_N0511_R022_T33TVM_20241014T142251"


@pytest.fixture
def folder(shared_data, emulator):
    for path in sorted(shared_data.glob("*.zip")):
        emulator.add_zip(path)
    return shared_data


def test_real_zips_are_listed_with_their_own_facts(folder, search):
    rows = search("Collection/Name eq 'SENTINEL-2'", ("$expand", "Attributes")).json()["value"]
    assert len(rows) == 5
    (row,) = (row for row in rows if row["Name"] == f"{L2A}.SAFE")
    attributes = {one["Name"]: one["Value"] for one in row["Attributes"]}
    assert attributes["cloudCover"] == 99.247116
    assert attributes["tileId"] == "33TVM"
    assert attributes["orbitNumber"] == 48639
    assert row["ContentDate"]["Start"] == "2024-10-14T10:10:21.024000Z"
    assert row["Footprint"].startswith("geography'SRID=4326;POLYGON ((14.318269768042882 46.9")


def test_real_zips_are_served_as_they_are(folder, fetch, search):
    for row in search("Collection/Name eq 'SENTINEL-2'").json()["value"]:
        (path,) = folder.glob(f"{row['Name'].removesuffix('.SAFE')}*")
        body = fetch(f"Products({row['Id']})/$value").content
        assert body == path.read_bytes()
        assert len(body) == row["ContentLength"]
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert row["Checksum"][0]["Value"] == md5


def test_members_of_real_zips_are_served_singly(folder, emulator, fetch, search):
    for row in search("Collection/Name eq 'SENTINEL-2'").json()["value"]:
        path = f"Products({row['Id']})/Nodes({row['Name']})/Nodes(manifest.safe)/$value"
        body = fetch(path).content
        assert b"<xfdu:XFDU" in body[:200]
        assert b"</xfdu:XFDU>" in body[-20:]


def test_a_folder_of_zips_can_be_given(shared_data):
    with Emulator(folder=shared_data) as emulator:
        assert len(emulator.connection()["extra"]) == 5


def test_another_zip_is_refused(tmp_path, emulator):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/file.txt", b"x")
    with pytest.raises(ValueError, match=r"other.zip holds 'other', not a Sentinel-2 product"):
        emulator.add_zip(path)
