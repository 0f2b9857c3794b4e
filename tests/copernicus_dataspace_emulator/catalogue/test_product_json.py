import re

import pytest

from copernicus_dataspace_emulator import make_product

EVERYTHING = [("$expand", name) for name in ("Attributes", "Assets", "Locations")]


@pytest.fixture
def row(emulator, search):
    """The catalogue's row of a product made to order."""

    def make(**facts):
        product = emulator.add(make_product(**{"content": False, **facts}))
        return search(f"Id eq {product.id}", *EVERYTHING).json()["value"][0]

    return make


def shape(value):
    """Keys and types of a JSON value; lists by their first element."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_a_row_has_the_recorded_shape(row, recorded):
    real = recorded("subscriptions/hls_push_created_s2_2024-09.json")["value"]
    real.pop("@odata.context")
    assert shape(row()) == shape(real)
    assert list(row(seed=1)) == list(real)


def test_attributes_are_the_recorded_ones(row, recorded):
    real = recorded("subscriptions/hls_push_created_s2_2024-09.json")["value"]["Attributes"]
    ours = {one["Name"]: (one["@odata.type"], one["ValueType"]) for one in row()["Attributes"]}
    theirs = {one["Name"]: (one["@odata.type"], one["ValueType"]) for one in real}
    assert set(theirs) - set(ours) == {"sourceProductOriginDate"}
    assert all(theirs[name] == kind for name, kind in ours.items())


def test_pages_have_the_recorded_shape(search, emulator, recorded):
    real = recorded("odata/eodag_cop_dataspace_search.json")
    for seed in range(3):
        emulator.add(make_product(content=False, seed=seed))
    options = [("$orderby", "ContentDate/Start asc"), ("$top", "2"), *EVERYTHING[:2]]
    ours = search("Collection/Name eq 'SENTINEL-2'", *options).json()
    assert list(ours) in (list(real), ["@odata.context", "value", "@odata.nextLink"])
    assert ours["@odata.context"] == real["@odata.context"]
    assert set(ours["value"][0]) == set(real["value"][0])


def dates(row):
    return [row["OriginDate"], row["PublicationDate"], row["ModificationDate"]]


@pytest.mark.parametrize(
    ("now", "digits", "eviction", "processed"),
    [
        ("2024-07-30T00:00:00Z", 3, "", "2023-08-01T11:36:01+00:00"),
        ("2024-08-31T00:00:00Z", 3, "9999-12-31T23:59:59.999Z", "2023-08-01T11:36:01+00:00"),
        ("2024-09-20T00:00:00Z", 6, "9999-12-31T23:59:59.999999Z", "2023-08-01T11:36:01+00:00"),
        ("2026-11-20T00:00:00Z", 6, "9999-12-31T23:59:59.999999Z", "2023-08-01T11:36:01.000000Z"),
    ],
)
def test_an_answer_writes_all_rows_as_was_usual_at_its_time(
    row, emulator, now, digits, eviction, processed
):
    emulator.now = now
    old = row(sensed="2023-08-01T08:36:01.024Z")
    start = old["ContentDate"]["Start"]
    assert start == f"2023-08-01T08:36:01.{'024' if digits == 3 else '024000'}Z"
    assert {len(text) for text in dates(old)} == {len(start)}
    assert old["EvictionDate"] == eviction
    attributes = {one["Name"]: one["Value"] for one in old["Attributes"]}
    assert attributes["processingDate"] == processed
    assert attributes["beginningDateTime"] == start


@pytest.mark.parametrize(
    ("name", "now"),
    [
        ("odata/hls_s2_l1c_by_id_2023.json", "2023-10-01T12:00:00Z"),
        ("odata/eodag_cop_dataspace_search.json", "2026-08-21T00:00:00Z"),
    ],
)
def test_dates_are_written_as_recorded(row, emulator, recorded, name, now):
    def kinds(entity):
        named = {name: text for name, text in entity.items() if isinstance(text, str)}
        named |= {one["Name"]: str(one["Value"]) for one in entity.get("Attributes", ())}
        named |= {f"ContentDate/{end}": text for end, text in entity["ContentDate"].items()}
        dates = {name: text for name, text in named.items() if "Date" in name}
        return {name: re.sub(r"\d", "0", text) for name, text in dates.items()}

    emulator.now = now
    real = recorded(name)["value"][0]
    sensed = real["ContentDate"]["Start"]
    published = real["PublicationDate"]
    ours = kinds(row(sensed=sensed, published=published, level="L1C", baseline="05.00"))
    theirs = kinds(real)
    assert {name: ours[name] for name in theirs} == theirs


def test_a_context_lists_what_is_expanded_by_commas_since_september_2024(search, emulator):
    emulator.add(make_product(content=False))
    for now, listed in (("2024-09-23", "(Attributes())(Assets())"), ("2024-09-24", None)):
        emulator.now = f"{now}T00:00:00Z"
        context = search(None, *EVERYTHING[:2]).json()["@odata.context"]
        assert context == f"$metadata#Products{listed or '(Attributes(),Assets())'}"


def test_online_may_be_absent_which_means_that_it_is(row, emulator, search, fetch):
    assert "Online" not in row(online=None)
    product = emulator.add(make_product(online=None, scale=0.0, seed=1))
    for wanted in ("true", "false"):
        for compare in ("eq", "ne"):
            assert search(f"Online {compare} {wanted}").json()["value"] == []
    assert search("not (Online eq false)").status_code == 200
    assert fetch(f"Products({product.id})/$value").status_code == 200


@pytest.mark.parametrize("eviction", ["", None, "2025-01-01T00:00:00.000000Z"])
def test_the_eviction_date_is_listed_as_it_is_given(row, eviction):
    assert row(eviction=eviction)["EvictionDate"] == eviction


def test_the_baseline_is_spelled_in_two_ways(row, emulator, search):
    short = row(processor_version="5.11")
    row(seed=1)
    value = "att:att/Name eq 'processorVersion' and att/OData.CSC.StringAttribute/Value eq"
    for spelling in ("5.11", "05.11"):
        text = f"Attributes/OData.CSC.StringAttribute/any({value} '{spelling}')"
        assert len(search(text).json()["value"]) == 1
    assert "_N0511_" in short["Name"]


def test_a_product_without_footprint_lacks_both_forms(row):
    none = row(footprint={})
    assert (none["Footprint"], none["GeoFootprint"]) == (None, None)


@pytest.mark.parametrize(
    ("checksum", "values"),
    [
        ("md5", ["real"]),
        ("full", ["real", "other"]),
        ("none", []),
        ("N/A", ["N/A", "other"]),
        ("zeros", ["0" * 32, "other"]),
        ("wrong", ["f" * 32, "other"]),
    ],
)
def test_checksums_come_in_every_quality(row, emulator, checksum, values):
    product = emulator.add(make_product(content=False, checksum=checksum, seed=7))
    listed = [one["Value"] for one in row(checksum=checksum)["Checksum"]]
    assert len(listed) == len(values)
    if values and values[0] != "real":
        assert listed[0] == values[0]
    assert len(product.md5) == 32


def test_a_checksum_can_be_filled_a_minute_late(emulator, search):
    product = emulator.add(make_product(content=False, checksum="late"))
    for now, count in (("2024-08-01T12:36:59Z", 0), ("2024-08-01T12:37:02Z", 2)):
        emulator.now = now
        (row,) = search(f"Id eq {product.id}").json()["value"]
        assert len(row["Checksum"]) == count


def test_a_checksum_can_be_corrected_a_minute_late(emulator, search):
    product = emulator.add(make_product(checksum="corrected", scale=0.0))
    for now, is_right in (("2024-08-01T12:36:59Z", False), ("2024-08-01T12:37:02Z", True)):
        emulator.now = now
        (row,) = search(f"Id eq {product.id}").json()["value"]
        assert (row["Checksum"][0]["Value"] == product.md5) == is_right


def test_a_product_without_cloud_cover_lacks_the_attribute(row):
    assert "cloudCover" not in {one["Name"] for one in row(cloud_cover=None)["Attributes"]}


def test_paths_tell_reprocessed_products_apart(row):
    assert row()["S3Path"].startswith("/eodata/Sentinel-2/MSI/L2A/2024/08/01/S2A_MSIL2A_")
    old = row(baseline="05.00", level="L1C")
    assert old["S3Path"].startswith("/eodata/Sentinel-2/MSI/L1C_N0500/2024/08/01/S2A_MSIL1C_")


def test_a_footprint_can_be_given(row):
    square = [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]
    outline = {"type": "MultiPolygon", "coordinates": [square]}
    given = row(footprint=outline)
    assert given["GeoFootprint"] == outline
    assert given["Footprint"] == "geography'SRID=4326;MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))'"
