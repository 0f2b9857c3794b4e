from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.errors import QueryError, UnsafeContentError
from copernicus_dataspace.json_records import read_json, write_json
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.product import Product, ProductName, normalise_tile

NAME = "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T112233.SAFE"
SENSED = datetime(2024, 8, 1, 8, 36, 1, 24000, tzinfo=UTC)

stamps = st.datetimes(datetime(2015, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=0)
)
names = st.builds(
    ProductName,
    platform=st.sampled_from("ABCD"),
    level=st.sampled_from(["L1C", "L2A"]),
    datatake=stamps,
    baseline=st.from_regex(r"[0-9]{2}\.[0-9]{2}", fullmatch=True),
    relative_orbit=st.integers(1, 143),
    tile=st.from_regex(r"[0-6][0-9][A-Z]{3}", fullmatch=True),
    discriminator=stamps,
)


@given(names)
def test_parsing_a_formatted_name_gives_the_name(name):
    assert ProductName.parse(str(name)) == name
    assert ProductName.parse(f"{name}.SAFE") == name


@pytest.mark.parametrize(
    "text",
    [
        "S2A_OPER_PRD_MSIL1C_PDMC_20161013T000000_R064_V20161012T083601_20161012T083601",
        NAME.replace("20240801T083601", "20241301T083601"),
        "S1A_IW_GRDH_1SDV_20240801T083601",
        "",
    ],
)
def test_other_names_are_not_parsed(text):
    assert ProductName.parse(text) is None


def test_names_that_are_no_folder_names_are_refused():
    for name in ("../x.SAFE", "a/b.SAFE", ".SAFE", "", "S2A\n", "..", "S2 A"):
        with pytest.raises(UnsafeContentError, match="not usable as a folder name"):
            Product("f867a59a-9336-46d0-93ae-e55bf29403f8", name, "S2MSI2A", SENSED)


def test_json_round_trip_keeps_everything():
    product = Product(
        "f867a59a-9336-46d0-93ae-e55bf29403f8",
        NAME,
        "S2MSI2A",
        SENSED,
        published=datetime(2024, 8, 1, 14, 52, 6, 118000, tzinfo=UTC),
        size_bytes=132384463,
        checksum=Checksum("MD5", "700a3f2014ab3670408b94e4310924dd"),
        online=False,
        cloud_cover=12.5,
        footprint={"type": "Point", "coordinates": [34, 40]},
        s3_path="/eodata/Sentinel-2/x",
    )
    assert read_json(write_json(product), Product) == product
    bare = Product("f867a59a-9336-46d0-93ae-e55bf29403f8", NAME, "S2MSI2A", SENSED)
    assert read_json(write_json(bare), Product) == bare


@pytest.mark.parametrize(
    ("text", "tile"), [("T36TXL", "36TXL"), ("36txl", "36TXL"), (" 1CCV ", "01CCV")]
)
def test_normalise_tile(text, tile):
    assert normalise_tile(text) == tile


@pytest.mark.parametrize("text", ["36", "T36TX", "T61TXL", "T00TXL", "36IXL", "36TXLL", ""])
def test_normalise_tile_refuses_what_is_no_tile(text):
    with pytest.raises(QueryError, match="MGRS"):
        normalise_tile(text)
