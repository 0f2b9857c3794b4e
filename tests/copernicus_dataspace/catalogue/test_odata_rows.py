"""Odd rows of the catalogue: they are left out and named, and keep no other row away."""

import copy
import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copernicus_dataspace.catalogue.odata_rows import read_row
from copernicus_dataspace.catalogue.query import MISSION, Query
from copernicus_dataspace.errors import ProductNotFoundError, ServiceUnavailableError
from copernicus_dataspace.models.checksum import Checksum
from copernicus_dataspace.models.time_range import Window
from copernicus_dataspace_emulator import Fault, make_product
from tests.support.products.odd_rows import NAME, UNKNOWN, UNUSABLE, UNUSABLE_ROWS, changed, entity

DAYS = Window.of_days(date(2024, 8, 1), date(2024, 8, 31))
TILE = Query(sensed=DAYS, tiles=("36TXL",))
CHECKSUM = Checksum("MD5", "700a3f2014ab3670408b94e4310924dd")


@pytest.fixture
def listed(emulator):
    """Three products of one tile, listed as they should be."""
    return [
        emulator.add(
            make_product(tile="36TXL", sensed=f"2024-08-0{day}T08:36:01.024Z", content=False)
        )
        for day in (1, 2, 3)
    ]


def ids(found):
    return {product.id for product in found}


def test_a_row_as_it_should_be_gives_all_facts():
    product, unusable, unknown = read_row(entity())
    assert unusable is None
    assert unknown == ()
    assert product.stem == NAME.removesuffix(".SAFE")
    assert product.tile == "36TXL"
    assert product.product_type == "S2MSI2A"
    assert product.sensed == datetime(2024, 8, 1, 8, 36, 1, 24000, tzinfo=UTC)
    assert product.checksum == CHECKSUM
    assert product.cloud_cover == 12.5
    assert product.size_bytes == 132384463
    assert product.online


def test_a_sparse_row_is_a_product():
    row = {key: entity()[key] for key in ("Id", "Name", "ContentDate")}
    product, unusable, _ = read_row(row)
    assert unusable is None
    assert product.online
    assert (product.size_bytes, product.cloud_cover) == (None, None)
    assert product.product_type == "S2MSI2A"


def test_names_of_the_older_convention_are_products():
    name = "S2A_OPER_PRD_MSIL1C_PDMC_20161013T000000_R064_V20161012T083601_20161012T083601.SAFE"
    product, unusable, _ = read_row(entity(Name=name, Attributes=[]))
    assert unusable is None
    assert product.product_type == "S2MSI1C"


@pytest.mark.parametrize(
    ("changes", "fact", "value"),
    [
        ({"ContentLength": "132384463"}, "size_bytes", 132384463),
        ({"ContentLength": 132384463.0}, "size_bytes", 132384463),
        ({"Online": False}, "online", False),
        ({"Online": "false"}, "online", False),
        ({"Online": "True"}, "online", True),
        ({"Online": None}, "online", True),
        ({"Online": 0}, "online", True),
        ({"Attributes": [{"Name": "cloudCover", "Value": "12.5"}, None]}, "cloud_cover", 12.5),
        ({"Attributes": [{"Name": "cloudCover", "Value": 100.0000001}]}, "cloud_cover", 100.0),
        ({"Attributes": [{"Name": "cloudCover", "Value": -1e-7}]}, "cloud_cover", 0.0),
        ({"Id": "F867A59A-9336-46D0-93AE-E55BF29403F8"}, "id", entity()["Id"]),
        ({"Checksum": [*entity()["Checksum"], {}]}, "checksum", CHECKSUM),
        ({"Checksum": [None, "N/A", *entity()["Checksum"]]}, "checksum", CHECKSUM),
        (
            {"Checksum": [{"Value": "", "Algorithm": "MD5"}, *entity()["Checksum"]]},
            "checksum",
            CHECKSUM,
        ),
        (
            {"Checksum": [{"Value": CHECKSUM.value.upper(), "Algorithm": " md5"}]},
            "checksum",
            CHECKSUM,
        ),
    ],
)
def test_what_can_be_read_is_read(changes, fact, value):
    product, unusable, _ = read_row(entity(**changes))
    assert unusable is None
    assert getattr(product, fact) == value


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_fact_that_cannot_be_read_is_unknown_and_the_product_stays(
    emulator, client, listed, case
):
    changes, fact = UNKNOWN[case]
    emulator.rewrite(listed[1].id, lambda row: changed(row, **changes))
    found = client.catalogue.search(TILE)
    assert ids(found) == ids(listed)
    assert found.unusable == ()
    assert getattr(found[1], fact) is None


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_row_that_cannot_be_used_keeps_no_other_away(emulator, client, listed, case, caplog):
    emulator.rewrite(listed[1].id, lambda row: changed(row, **UNUSABLE[case]))
    found = client.catalogue.search(TILE)
    assert ids(found) == {listed[0].id, listed[2].id}
    (odd,) = found.unusable
    assert "invalid literal" not in str(odd)
    assert str(odd).isprintable()
    assert str(odd).isascii()
    assert odd.label in caplog.text
    if not case.startswith("name"):
        assert odd.name == listed[1].name
    if not case.startswith(("start", "date")):
        assert odd.day == "2024-08-02"


@pytest.mark.parametrize("row", UNUSABLE_ROWS.values(), ids=UNUSABLE_ROWS)
def test_what_is_no_row_keeps_no_row_away(emulator, client, listed, row):
    for one in listed[:2]:
        emulator.rewrite(one.id, lambda _: row)
    found = client.catalogue.search(TILE)
    assert ids(found) == {listed[2].id}
    assert len(found.unusable) == 1  # of two that say the same
    assert found.unusable[0].day is None


@pytest.mark.parametrize(
    "case", [one for one in UNKNOWN if one.startswith(("cover", "attributes"))]
)
def test_under_a_cloud_limit_the_cover_must_be_readable(emulator, client, listed, case):
    changes, _ = UNKNOWN[case]
    emulator.rewrite(listed[1].id, lambda row: changed(row, **changes))
    found = client.catalogue.search(Query(sensed=DAYS, tiles=("36TXL",), max_cloud_cover=90))
    assert ids(found) == {listed[0].id, listed[2].id}
    (odd,) = found.unusable
    assert "cloudCover" in odd.why


def test_an_odd_row_of_what_is_not_wanted_does_not_count(emulator, client, listed):
    elsewhere = Query(sensed=DAYS, tiles=("36TXL",), area=None)
    emulator.rewrite(listed[1].id, lambda row: changed(row, ContentLength="N/A", **_sensed_later()))
    found = client.catalogue.search(elsewhere)
    assert ids(found) == {listed[0].id, listed[2].id}
    assert found.unusable == ()


def _sensed_later():
    return {"ContentDate": {"Start": "2025-01-01T00:00:00Z"}}


def test_two_names_for_one_id_are_named(emulator, client, listed):
    emulator.rewrite(listed[1].id, lambda row: changed(row, Id=listed[0].id))
    found = client.catalogue.search(TILE)
    assert ids(found) == {listed[0].id, listed[2].id}
    (odd,) = found.unusable
    assert (odd.name, odd.id) == (listed[1].name, listed[0].id)


@pytest.mark.parametrize(
    "count", [math.inf, -math.inf, math.nan, [3], {}, -1, 3.5, True, "N/A", "", "3.0", "٣"]
)
def test_a_count_that_cannot_be_read_keeps_nothing_away(emulator, client, listed, count):
    patch = {"@odata.count": count}
    emulator.faults.add(Fault("catalogue", "patched_page", patch=patch, times=None))
    found = client.catalogue.search(TILE)
    assert ids(found) == ids(listed)
    (odd,) = found.unusable
    assert str(odd).startswith("@odata.count: it is ")


@pytest.mark.parametrize("count", [3, 3.0, "3", None])
def test_a_count_that_can_be_read_is_believed(emulator, client, listed, count):
    patch = {"@odata.count": count}
    emulator.faults.add(Fault("catalogue", "patched_page", patch=patch, times=None))
    assert client.catalogue.search(TILE).unusable == ()


@pytest.mark.parametrize(
    "patch",
    [
        {"value": {"0": 1}},
        {"value": "x"},
        {"value": None},
        {"@odata.nextLink": 5},
        {"@odata.nextLink": ["x"]},
        {"@odata.nextLink": {"href": "x"}},
        {"@odata.nextLink": True},
        {"@odata.nextLink": "http://[x"},
        {"@odata.nextLink": "?$skip=²"},
        {"@odata.nextLink": "?$skip=-1"},
        {"@odata.nextLink": "?$skip=1e3"},
        {"@odata.nextLink": "?$skip=" + "9" * 5000},
    ],
    ids=str,
)
def test_a_page_that_cannot_be_read_is_an_error_in_words(emulator, client, listed, patch):
    emulator.faults.add(Fault("catalogue", "patched_page", patch=patch, times=None))
    with pytest.raises(ServiceUnavailableError, match=r"catalogue: the (response|link)"):
        client.catalogue.search(TILE)


@pytest.mark.parametrize("case", ["name goes up", "id a list", "length N/A", "start null"])
def test_a_product_asked_for_whose_row_is_odd_is_named(emulator, client, listed, case):
    emulator.rewrite(listed[1].id, lambda row: changed(row, **UNUSABLE[case]))
    wanted = Query(sensed=MISSION, product_ids=tuple(product.id for product in listed))
    found = client.catalogue.search(wanted)
    assert ids(found) == {listed[0].id, listed[2].id}
    assert len(found.unusable) == 1


def test_a_product_that_is_not_listed_is_still_missed(client, listed):
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ProductNotFoundError, match=unknown):
        client.catalogue.search(Query(sensed=MISSION, product_ids=(listed[0].id, unknown)))


@pytest.mark.parametrize("case", ["name goes up", "id a list", "start in year 9999"])
def test_an_odd_row_of_the_deleted_ones_keeps_no_other_away(emulator, client, listed, case):
    for product in listed:
        emulator.remove(product.id)
    emulator.rewrite(listed[1].id, lambda row: changed(row, **UNUSABLE[case]))
    deleted = client.catalogue.deleted(TILE)
    assert set(deleted) == {listed[0].id, listed[2].id}
    assert len(deleted.unusable) == 1


@pytest.mark.parametrize("value", [None, 5, ["x"], {}, "\n", "\ud800"])
def test_a_deletion_with_odd_words_is_a_deletion(emulator, client, listed, value):
    emulator.remove(listed[1].id)
    odd = {"DeletionDate": value, "DeletionCause": value, "ContentLength": "N/A"}
    emulator.rewrite(listed[1].id, lambda row: changed(row, **odd))
    deleted = client.catalogue.deleted(TILE)
    assert set(deleted) == {listed[1].id}
    assert str(deleted[listed[1].id]).isprintable()


def test_the_test_button_survives_an_odd_row(emulator, client, listed):
    emulator.rewrite(listed[0].id, lambda _: None)
    assert client.catalogue.peek(TILE) == (3, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def paths(value, at=()):
    yield at
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*at, key))


def replaced(value, path, by):
    if not path:
        return by
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], by)
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_stands_in_a_row_the_good_ones_are_found(emulator, client, listed, data):
    by = data.draw(json_values)
    choice = data.draw(st.integers(0, 300))

    def change(row):
        places = list(paths(row))
        return replaced(row, places[choice % len(places)], by)

    emulator.rewrite(listed[1].id, change)
    limit = data.draw(st.sampled_from([None, 100.0]))
    found = client.catalogue.search(
        Query(sensed=DAYS, tiles=("36TXL",), product_type="S2MSI2A", max_cloud_cover=limit)
    )
    assert ids(found) >= {listed[0].id, listed[2].id}
    assert all(str(odd).isprintable() for odd in found.unusable)
