import pytest

from dataspace_emulator import make_product

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


def test_dates_have_three_digits_before_september_2024_and_six_after(row):
    old = row(sensed="2024-08-31T10:00:00.024Z", published="2024-08-31T14:00:00Z")
    assert old["PublicationDate"] == "2024-08-31T14:00:00.000Z"
    assert old["ContentDate"]["Start"] == "2024-08-31T10:00:00.024Z"
    new = row(sensed="2024-08-31T10:00:00.024Z", published="2024-09-02T00:00:00Z", seed=1)
    assert new["PublicationDate"] == "2024-09-02T00:00:00.000000Z"
    assert new["ContentDate"]["End"] == "2024-08-31T10:00:00.024Z"


def test_attribute_dates_change_their_zone_in_march_2025(row):
    def processed(**facts):
        attributes = {one["Name"]: one["Value"] for one in row(**facts)["Attributes"]}
        return attributes["processingDate"]

    assert processed() == "2024-08-01T11:36:01+00:00"
    assert processed(sensed="2025-03-17T08:36:01.024Z") == "2025-03-17T11:36:01.000000Z"


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
