"""What an item says is read back from it, whoever wrote it, and however damaged it is."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.stac.inventory import Entry
from copernicus_dataspace.stac.item import delivery_of, item_of, product_of
from tests.support.products.held import CREATED, FILES, FOOTPRINT, delivery, file_name, held_product

PRODUCT = held_product()
ITEM = item_of(delivery(PRODUCT), PRODUCT, CREATED)

instants = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
checksums = st.builds(
    Checksum, st.just("SHA3-256"), st.integers(1, 16**64 - 1).map(lambda number: f"{number:064x}")
)
products = st.builds(
    held_product,
    number=st.integers(0, 10**12 - 1),
    product_type=st.sampled_from(["S2MSI1C", "S2MSI2A"]),
    sensed=instants,
    published=st.none() | instants,
    size_bytes=st.none() | st.integers(1, 10**13),
    checksum=st.none() | checksums,
    online=st.booleans(),
    cloud_cover=st.none() | st.floats(0, 100),
    footprint=st.sampled_from([None, FOOTPRINT]),
    s3_path=st.sampled_from([None, "/eodata/Sentinel-2/x.SAFE"]),
)


@given(products)
def test_an_item_says_all_of_a_product_but_where_its_bytes_are(product):
    told = product_of(item_of(delivery(product), product, CREATED))
    assert told == replace(product, s3_path=None, online=True)


def test_a_footprint_that_cannot_be_drawn_is_none():
    product = replace(PRODUCT, footprint={"type": "Polygon", "coordinates": [[]]})
    assert product_of(item_of(delivery(product), product, CREATED)).footprint is None


def test_a_product_with_an_older_name_has_an_item(tmp_path):
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20150801T000000_R064_V20150801T083601_20150801T083601.SAFE"
    product = replace(PRODUCT, name=name, product_type="S2MSI1C")
    assert product_of(item_of(delivery(product), product, CREATED)) == product


@given(st.sets(st.sampled_from(["one", "two", "three"])), st.none() | instants, instants)
def test_an_item_says_all_of_a_delivery(ingests, created, now):
    written = delivery(PRODUCT, ingests=sorted(ingests), created=created)
    assert delivery_of(item_of(written, PRODUCT, now)) == written


def test_two_files_of_one_band_both_have_an_asset():
    written = delivery(PRODUCT)
    (path, file), *_ = written.files.items()
    beside = replace(file, path=f"other/{path}", name=f"other_{file.name}")
    twice = replace(written, files={**written.files, beside.path: beside})
    assert delivery_of(item_of(twice, PRODUCT, CREATED)).files == twice.files


def older(item):
    """Return an item as an earlier version wrote it."""
    document = json.loads(item)
    for name in ("created", "updated", "dataspace:ingests", "proj:code"):
        del document["properties"][name]
    del document["collection"]
    named = {asset["href"].removeprefix("./"): asset for asset in document["assets"].values()}
    return json.dumps({**document, "links": [], "assets": named}).encode()


def test_an_item_of_an_earlier_version_is_read():
    content = older(ITEM)
    assert set(json.loads(content)["assets"]) == {file_name(PRODUCT, band) for band in FILES}
    assert product_of(content) == PRODUCT
    entry = Entry.of_item(content, "1")
    assert entry.created is None
    assert replace(entry, created=CREATED) == Entry.of_item(ITEM, "1")
    assert entry.ingests == ("sentinel2_daily",)


def test_an_item_of_an_earlier_version_is_brought_up_to_date():
    now = CREATED + timedelta(days=100)
    delivered = delivery_of(older(ITEM))
    anew = json.loads(item_of(delivered, PRODUCT, now))
    assert set(anew["assets"]) == set(FILES)
    assert anew["properties"]["updated"] == now.isoformat()


def test_an_instant_of_another_zone_is_the_same_instant():
    document = json.loads(ITEM)
    zone = timezone(timedelta(hours=5))
    document["properties"]["datetime"] = PRODUCT.sensed.astimezone(zone).isoformat()
    document["properties"]["published"] = PRODUCT.published.astimezone(zone).isoformat()
    assert product_of(json.dumps(document)) == PRODUCT


@given(st.integers(0, len(ITEM) - 1))
def test_a_part_of_an_item_is_none(length):
    assert Entry.of_item(ITEM[:length], "1") is None


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"3", b'"x"', b"{}", b"\xff\xfe", b"[" * 100_000, b"\0" * 900]
)
def test_what_is_no_item_is_none(content):
    assert Entry.of_item(content, "1") is None


def changed(document, path, value):
    """Return a copy of JSON with one place of it changed."""
    if not path:
        return value
    first, *others = path
    return {**document, first: changed(document[first], others, value)}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["properties"], None),
        (["assets"], []),
        (["properties", "datetime"], None),
        (["properties", "datetime"], "yesterday"),
        (["properties", "datetime"], "0001-01-01T00:00:00+05:00"),
        (["properties", "published"], 3),
        (["properties", "created"], "9999-12-31T23:59:59"),
        (["properties", "dataspace:product_name"], "../../etc"),
        (["properties", "dataspace:product_name"], 3),
        (["properties", "dataspace:product_checksum"], 3),
        (["properties", "dataspace:selection"], ["SCL_20m"]),
        (["properties", "dataspace:selection", "SCL_20m"], 3),
        (["properties", "dataspace:selection", "SCL_20m"], [["nested"]]),
        (["properties", "dataspace:ingests"], None),
        (["assets", "SCL_20m"], None),
        (["assets", "SCL_20m", "href"], None),
        (["assets", "SCL_20m", "file:local_path"], []),
        (["assets", "SCL_20m", "dataspace:checksum"], "N/A"),
        (["assets", "SCL_20m", "dataspace:checksum"], None),
        (["assets", "SCL_20m", "dataspace:checksum_algorithm"], "CRC"),
    ],
)
def test_an_item_with_a_wrong_value_is_none(path, value):
    document = changed(json.loads(ITEM), path, value)
    assert Entry.of_item(json.dumps(document).encode(), "1") is None


def places(document, at=()):
    """Give the way to each value of nested objects."""
    for name, value in document.items():
        yield (*at, name)
        if isinstance(value, dict):
            yield from places(value, (*at, name))


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.sampled_from(list(places(json.loads(ITEM)))), junk)
def test_no_value_of_an_item_is_an_error(path, value):
    content = json.dumps(changed(json.loads(ITEM), path, value)).encode()
    entry = Entry.of_item(content, "1")
    assert entry is None or entry.version == "1"
