from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataspace.checksum import Checksum
from dataspace.errors import QueryError, ServiceUnavailableError, UnsafeContentError
from dataspace.product import Product, ProductName, normalise_tile

NAME = "S2A_MSIL2A_20240801T083601_N0511_R064_T36TXL_20240801T112233.SAFE"

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


def entity(**changes):
    return {
        "Id": "f867a59a-9336-46d0-93ae-e55bf29403f8",
        "Name": NAME,
        "ContentLength": 132384463,
        "PublicationDate": "2024-08-01T14:52:06.118Z",
        "Online": True,
        "Checksum": [
            {"Value": "fd35" * 16, "Algorithm": "BLAKE3"},
            {"Value": "700A3F2014AB3670408B94E4310924DD", "Algorithm": "MD5"},
        ],
        "ContentDate": {"Start": "2024-08-01T08:36:01.024Z", "End": "2024-08-01T08:36:01.024Z"},
        "GeoFootprint": {
            "type": "Polygon",
            "coordinates": [[[34, 40], [35, 40], [35, 41], [34, 40]]],
        },
        "Attributes": [
            {"Name": "cloudCover", "Value": 12.5, "ValueType": "Double"},
            {"Name": "productType", "Value": "S2MSI2A", "ValueType": "String"},
        ],
        **changes,
    }


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


def test_from_odata_reads_the_facts():
    product = Product.from_odata(entity())
    assert product.stem == NAME.removesuffix(".SAFE")
    assert product.tile == "36TXL"
    assert product.product_type == "S2MSI2A"
    assert product.sensed == datetime(2024, 8, 1, 8, 36, 1, 24000, tzinfo=UTC)
    assert product.checksum == Checksum("MD5", "700a3f2014ab3670408b94e4310924dd")
    assert product.cloud_cover == 12.5
    assert product.online


@pytest.mark.parametrize(
    "checksums",
    [[], None, [{"Value": "N/A", "Algorithm": "MD5"}], [{"Value": "0" * 32, "Algorithm": "MD5"}]],
)
def test_from_odata_knows_a_missing_checksum(checksums):
    assert Product.from_odata(entity(Checksum=checksums)).checksum is None


def test_from_odata_accepts_sparse_rows():
    row = {key: entity()[key] for key in ("Id", "Name", "ContentDate")}
    product = Product.from_odata({**row, "ContentLength": 0})
    assert product.online
    assert product.size_bytes is None
    assert product.cloud_cover is None
    assert product.product_type == "S2MSI2A"


@pytest.mark.parametrize("field", ["Id", "Name", "ContentDate"])
def test_from_odata_refuses_rows_without_identity(field):
    row = entity()
    del row[field]
    with pytest.raises(ServiceUnavailableError, match=field):
        Product.from_odata(row)


@pytest.mark.parametrize("name", ["../x.SAFE", "a/b.SAFE", ".SAFE", "", "S2A\n", "..", "S2 A"])
def test_names_that_are_no_folder_names_are_refused(name):
    with pytest.raises(UnsafeContentError, match="not usable as a folder name"):
        Product.from_odata(entity(Name=name))


def test_json_round_trip_keeps_everything():
    product = Product.from_odata(entity())
    assert Product.from_json(product.to_json()) == product
    bare = Product.from_odata(entity(Checksum=[], PublicationDate=None, GeoFootprint=None))
    assert Product.from_json(bare.to_json()) == bare


@pytest.mark.parametrize(
    ("text", "tile"), [("T36TXL", "36TXL"), ("36txl", "36TXL"), (" 1CCV ", "01CCV")]
)
def test_normalise_tile(text, tile):
    assert normalise_tile(text) == tile


@pytest.mark.parametrize("text", ["36", "T36TX", "T61TXL", "T00TXL", "36IXL", "36TXLL", ""])
def test_normalise_tile_refuses_what_is_no_tile(text):
    with pytest.raises(QueryError, match="MGRS"):
        normalise_tile(text)
