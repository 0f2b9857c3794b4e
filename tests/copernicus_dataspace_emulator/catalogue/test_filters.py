import pytest

from copernicus_dataspace_emulator import make_product

COLLECTION = "Collection/Name eq 'SENTINEL-2'"
SQUARE = "POLYGON((34.4 40.6,34.6 40.6,34.6 40.7,34.4 40.7,34.4 40.6))"


def attribute(kind, name, operator, value):
    whole = f"OData.CSC.{kind}Attribute"
    return (
        f"Attributes/{whole}/any(att:att/Name eq '{name}' and att/{whole}/Value {operator} {value})"
    )


def mixed(name, comparison):
    """An attribute as eodag asks for it: of whole numbers, whose value is a text."""
    return (
        f"Attributes/OData.CSC.IntegerAttribute/any(att:att/Name eq '{name}'"
        f" and att/OData.CSC.StringAttribute/Value {comparison})"
    )


def area(wkt, srid="SRID=4326;"):
    return f"OData.CSC.Intersects(area=geography'{srid}{wkt}')"


@pytest.fixture
def products(emulator):
    listed = {"content": False}
    return [
        emulator.add(make_product(**listed)),
        emulator.add(make_product(level="L1C", cloud_cover=80.0, **listed)),
        emulator.add(make_product(tile="33TVM", platform="B", cloud_cover=None, **listed)),
        emulator.add(make_product(sensed="2024-08-02T00:00:00.000Z", online=False, **listed)),
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (COLLECTION, "0123"),
        ("Collection/Name eq 'SENTINEL-1'", ""),
        ("not Collection/Name eq 'SENTINEL-1'", "0123"),
        ("ContentDate/Start ge 2024-08-02T00:00:00.000Z", "3"),
        ("ContentDate/Start gt 2024-08-02T00:00:00.000Z", ""),
        ("ContentDate/Start lt 2024-08-02T00:00:00.000Z", "012"),
        ("ContentDate/Start ge 2024-08-02", "3"),
        ("ContentDate/Start eq 2024-08-02", "3"),
        ("ContentDate/Start lt 2024-08-02 and ContentDate/End ge 2024-08-01", "012"),
        ("PublicationDate gt 2024-08-02", "3"),
        ("ContentDate/End le 2024-08-02T00:00:00Z", "0123"),
        ("ContentDate/Start ge 2024-08-02T02:00:00+02:00", "3"),
        ("ContentDate/Start eq 2024-08-02T00:00:00", "3"),
        ("PublicationDate lt 2024-08-01T12:36:01.025Z", "012"),
        ("OriginDate gt 2024-08-01T12:36:01.025Z", "3"),
        ("ModificationDate gt 2024-08-01T12:36:48Z", "3"),
        ("Online eq true", "012"),
        ("Online eq false", "3"),
        ("contains(Name,'MSIL1C')", "1"),
        ("startswith(Name,'S2B')", "2"),
        ("endswith(Name,'.SAFE')", "0123"),
        ("not contains(Name,'MSIL1C')", "023"),
        ("contains(Name,'it''s')", ""),
        (attribute("String", "productType", "eq", "'S2MSI1C'"), "1"),
        (attribute("String", "tileId", "eq", "'33TVM'"), "2"),
        (attribute("String", "tileId", "eq", "'T33TVM'"), ""),
        (attribute("Double", "cloudCover", "le", "12.5"), "03"),
        (attribute("Double", "cloudCover", "gt", "12"), "013"),
        ("not " + attribute("Double", "cloudCover", "ge", "0"), "2"),
        (attribute("Integer", "orbitNumber", "gt", "0"), "0123"),
        (attribute("DateTimeOffset", "beginningDateTime", "ge", "2024-08-02T00:00:00Z"), "3"),
        (attribute("DateTimeOffset", "beginningDateTime", "ge", "2024-08-02"), "3"),
        (mixed("relativeOrbitNumber", "eq 107"), "01"),
        (mixed("relativeOrbitNumber", "eq 63"), ""),
        (mixed("relativeOrbitNumber", "ne '63'"), "0123"),
        (mixed("spatialResolution", "eq '20'"), ""),
        (attribute("String", "noSuchThing", "eq", "'x'"), ""),
        (area(SQUARE), "013"),
        (area("POINT(34.5 40.63)"), "013"),
        (area("POLYGON ((14 46, 14.1 46, 14.1 46.1, 14 46.1, 14 46))"), "2"),
        (f"{COLLECTION} and (Online eq false or startswith(Name,'S2B'))", "23"),
        ("Online eq false or startswith(Name,'S2B') and Online eq false", "3"),
        ("ContentDate/Start ge 2024-08-02T00:00:00Z or startswith(Name,'S2B')", "23"),
    ],
)
def test_a_filter_finds(search, products, text, found):
    answer = search(text, ("$orderby", "ContentDate/Start"))
    assert answer.status_code == 200, answer.text
    ids = {row["Id"] for row in answer.json()["value"]}
    assert ids == {products[int(number)].id for number in found}


def test_ids_and_names_are_found(search, products):
    wanted = products[1]
    for text in (f"Id eq {wanted.id}", f"Name eq '{wanted.name}'"):
        assert [row["Id"] for row in search(text).json()["value"]] == [wanted.id]
    without_suffix = wanted.name.removesuffix(".SAFE")
    assert search(f"Name eq '{without_suffix}'").json()["value"] == []


PARSING = "Error during parsing at index "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Collection/Name eq 'Sentinel2'", "Invalid value"),
        (
            f"{COLLECTION} and ContentDate/Start gt datetime'2024-01-01T00:00:00.000Z'",
            PARSING + "65",
        ),
        (f"{COLLECTION} and ContentDate/Start gt '2024-01-01T00:00:00.000Z'", PARSING + "57"),
        ("ContentDate/Start gt '2024-01-01'", PARSING + "21"),
        ("ContentDate/Start gt 2024-01", PARSING + "21"),
        ("ContentDate/Start gt 2024-01-01T", PARSING + "31"),
        ("ContentDate/Start gt 2024-02-30", "Invalid value"),
        ("ContentDate/Start gt 2024-01-01T00:00:00.000 02:00", PARSING + "45"),
        ("ContentDate/Start gt 2024-13-01T00:00:00Z", "Invalid value"),
        (COLLECTION + " and", PARSING + "35"),
        (COLLECTION + " Online eq true", PARSING + "32"),
        (f"({COLLECTION}", PARSING + "32"),
        (f"{COLLECTION} AND Online eq true", PARSING + "32"),
        ("Online eq 'true'", PARSING + "10"),
        ("Online eq True", PARSING + "10"),
        ("Name = 'x'", PARSING + "5"),
        ("Name eq x", PARSING + "8"),
        ("CloudCover le 20", PARSING + "0"),
        ("DeletionDate gt 2024-01-01T00:00:00Z", PARSING + "0"),
        ("Id eq 'db84e410-b708-5ba3-9f3d-92040f11445b'", PARSING + "6"),
        ("substringof('x',Name)", PARSING + "11"),
        ("Name eq 'x' # y", PARSING + "12"),
        (area("Polygon((0 0,1 0,1 1,0 0))"), PARSING + "11"),
        (area("point(0 0)"), PARSING + "10"),
        (area("POINT(0 0)", srid=""), PARSING + "0"),
        (area("POINT(0 0)", srid="SRID=3857;"), PARSING + "5"),
        (area("POINT(0 0 0)"), PARSING + "19"),
        (area("MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"), PARSING + "10"),
        (area("POLYGON((0 0,1 0,1 1,0 1))"), "Invalid geometry: ring is not closed"),
        (area("POLYGON((0 0,1 0,0 0))"), "Invalid geometry: ring is not closed"),
        (area("POLYGON((0 0,200 0,200 1,0 0))"), "Invalid geometry: coordinates out of range"),
        (area("POLYGON((0 0,1 1,1 0,0 1,0 0))"), "Invalid geometry: Self-intersection[0.5 0.5]"),
        (f"OData.CSDL.Intersects(area=geography'SRID=4326;{SQUARE}')", PARSING + "21"),
        (attribute("String", "cloudCover", "eq", "'20'"), "Invalid value"),
        (attribute("Double", "orbitNumber", "eq", "20"), "Invalid value"),
        (mixed("relativeOrbitNumber", "eq 'x'"), "Invalid value"),
        (mixed("cloudCover", "eq 20"), "Invalid value"),
    ],
)
def test_the_service_refuses(search, products, text, message):
    answer = search(text)
    assert (answer.status_code, answer.json()) == (400, {"detail": message})


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        (attribute("String", "productType", "ge", "'a'"), "ge 'a'"),
        (attribute("Double", "cloudCover", "le", "'20'"), "'20'"),
        (attribute("Integer", "orbitNumber", "le", "2.5"), ".5"),
        (mixed("orbitNumber", "le 45"), "le 45"),
        (mixed("orbitNumber", "eq 45").replace("IntegerA", "DoubleA"), "att/OD"),
        (
            attribute("Integer", "orbitNumber", "eq", "45").replace("IntegerA", "StringA", 1),
            "att/OD",
        ),
        (attribute("String", "tileId", "eq", "'x'").replace("att/N", "b/N"), "b/N"),
        (attribute("String", "tileId", "eq", "'x'")[:-1], None),
    ],
)
def test_attributes_are_compared_in_one_form_only(search, products, text, culprit):
    index = len(text) if culprit is None else text.rindex(culprit)
    answer = search(text)
    assert (answer.status_code, answer.json()) == (400, {"detail": f"{PARSING}{index}"})
