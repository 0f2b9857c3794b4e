import contextlib
import json
import logging
import zipfile

import geopandas
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import mapping, shape

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.area import Area
from copernicus_dataspace.geometry.area_input import MAX_FILE_BYTES

SQUARE = {"type": "Polygon", "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 51], [10, 50]]]}
UTM_SQUARE = shapely.box(500_000, 5_000_000, 520_000, 5_020_000)


@pytest.fixture
def folder(tmp_path):
    areas = tmp_path / "areas"
    areas.mkdir()
    (areas / "square.geojson").write_text(json.dumps(SQUARE))
    (tmp_path / "outside.geojson").write_text(json.dumps(SQUARE))
    return areas


def polygon(*positions):
    return {"type": "Polygon", "coordinates": [[list(position) for position in positions]]}


def collection(*geometries, **members):
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": features, **members}


def layer(*shapes, crs="EPSG:4326"):
    return geopandas.GeoDataFrame({"n": range(len(shapes))}, geometry=list(shapes), crs=crs)


# --- the forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "10,50,11,51",
        " 10.0, 50 ,11,51 ",
        "POLYGON((10 50,11 50,11 51,10 51,10 50))",
        "polygon ((10 50, 11 50, 11 51, 10 51))",
        "POLYGON Z((10 50 7,11 50 7,11 51 7,10 51 7,10 50 7))",
        "SRID=4326;POLYGON((10 50,11 50,11 51,10 51,10 50))",
        "geography'SRID=4326;POLYGON((10 50,11 50,11 51,10 51,10 50))'",
        json.dumps(SQUARE),
        "square",
        "square.geojson",
        SQUARE,
        polygon((10, 50, 1), (11, 50), (11, 51, 1), (10, 51)),
        collection(SQUARE, None, SQUARE),
        {"type": "Feature", "properties": None, "geometry": SQUARE},
        {"type": "GeometryCollection", "geometries": [SQUARE]},
    ],
)
def test_every_form_gives_the_same_area(text, folder):
    area = Area.parse(text, folders=[folder])
    assert area.geometry.equals(shapely.box(10, 50, 11, 51))
    assert not area.geometry.has_z
    assert area.search_wkts()[0].count(",") == 4


def test_an_area_is_passed_through():
    area = Area.parse("10,50,11,51")
    assert Area.parse(area) is area


def test_points_are_searched_as_points():
    area = Area.parse("MULTIPOINT((34.5 40.63),(-190 -3.25))")
    assert sorted(area.search_wkts()) == ["POINT(170 -3.25)", "POINT(34.5 40.63)"]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".kml", ".fgb", ".geojson"])
def test_files_are_read_by_name_and_a_program_may_give_a_path(suffix, folder):
    driver = "KML" if suffix == ".kml" else None
    boxes = layer(shapely.box(1, 2, 3, 4), shapely.box(5, 6, 7, 8))
    boxes.to_file(folder / f"lake{suffix}", driver=driver)
    for text in ("lake", f"lake{suffix}", folder / f"lake{suffix}"):
        assert Area.parse(text, folders=[folder]).geometry.area == pytest.approx(8)


def test_a_shapefile_in_a_zip_and_in_metres_is_put_into_degrees(folder, tmp_path):
    layer(UTM_SQUARE, crs="EPSG:32633").to_file(tmp_path / "field.shp")
    with zipfile.ZipFile(folder / "field.zip", "w") as archive:
        for part in tmp_path.glob("field.*"):
            archive.write(part, part.name)
    area = Area.parse("field", folders=[folder])
    corner = layer(shapely.Point(520_000, 5_020_000), crs="EPSG:32633").to_crs(4326).geometry[0]
    assert area.geometry.distance(corner) < 1e-9
    assert area.geometry.bounds == pytest.approx((15, 45.1537, 15.2557, 45.3338), abs=1e-3)


def test_all_layers_count_unless_one_is_named(folder):
    for name, west in (("north", 0), ("south", 10)):
        file = folder / "lake.gpkg"
        layer(shapely.box(west, 0, west + 1, 1)).to_file(file, layer=name)
    assert Area.parse("lake", folders=[folder]).geometry.area == pytest.approx(2)
    assert Area.parse("lake:south", folders=[folder]).geometry.bounds == (10, 0, 11, 1)
    with pytest.raises(AreaError, match=r"no layer east; its layers are: north, south"):
        Area.parse("lake.gpkg:east", folders=[folder])


def test_folders_of_a_kml_are_all_read(folder):
    square = "<Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing>"
    marks = [
        f"<Folder><name>f{west}</name><Placemark>"
        + square.format(f"{west},0,9 {west + 1},0,9 {west + 1},1,9 {west},1,9 {west},0,9")
        + "</outerBoundaryIs></Polygon></Placemark></Folder>"
        for west in (0, 10)
    ]
    kml = "<kml xmlns='http://www.opengis.net/kml/2.2'><Document>{}</Document></kml>"
    (folder / "two.kml").write_text(kml.format("".join(marks)))
    assert Area.parse("two", folders=[folder]).geometry.bounds == (0, 0, 11, 1)


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        {"type": "name", "properties": {"name": "epsg:32633"}},
        {"type": "EPSG", "properties": {"code": 32633}},
    ],
)
def test_a_declared_crs_is_honoured(crs):
    area = Area.parse(collection(mapping(UTM_SQUARE), crs=crs))
    assert area.geometry.bounds == pytest.approx((15, 45.1537, 15.2557, 45.3338), abs=1e-3)
    same = Area.parse(f"SRID=32633;{UTM_SQUARE.wkt}")
    assert same.geometry.equals(area.geometry)


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326"])
def test_geojson_stays_longitude_first_whatever_its_crs_says(name):
    crs = {"type": "name", "properties": {"name": name}}
    assert Area.parse({**SQUARE, "crs": crs}).geometry.bounds == (10, 50, 11, 51)


# --- refused in words --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  ", "it is empty; give the name"),
        ("sqaure", r"no such name; there are: square\. Did you mean square\? Give"),
        ("../outside", "not a name: paths and URLs are not allowed; there are: square"),
        ("..", "not a name"),
        ("/etc/passwd", "not a name: paths"),
        ("x" * 9000, "no such name"),
        ("a\0b.geojson", "not a name"),
        ("POINT", "no such name"),
        ("LINESTRING(0 0,1 1)", r"1 line\(s\) and no polygon"),
        ("GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))", r"1 line\(s\) and no polygon"),
        ("POLYGON EMPTY", "has no shape"),
        ("POLYGON((0 0,1 0", "WKT cannot be read: .*end of stream"),
        ("POLYGOM((0 0,1 0,1 1,0 0))", "WKT cannot be read: .*POLYGOM"),
        ("POLYGON((0 0,1 0,nan 1,0 0))", "infinite or not a number"),
        ("POLYGON((0 0,1 0,inf 1,0 0))", "infinite or not a number"),
        ("POLYGON((0 0,1 1,2 2,0 0))", "enclose no area"),
        ("SRID=99999;POINT(1 1)", "CRS EPSG:99999 is unknown"),
        ("SRID=32633;POINT(1e300 1)", "do not fit its CRS"),
        ("POLYGON((45 120,46 120,46 121,45 120))", "may be swapped. Write longitude first"),
        ("639420,5673960,646720,5685290", "need their CRS"),
        ("1e308,0,1,1", "need their CRS"),
        ("10,50,11", "3 numbers"),
        ("10,50,11,nan", "4 numbers, .*nan"),
        ("10,50,11,5l", "'5l' is not a number"),
        ("10,50,10,51", "west equals east"),
        ("10,51,11,50", "south is not below north"),
        ("10,50,11,50", "south is not below north"),
        ("-190,0,190,1", "380 degrees wide"),
        ('{"type": "Polygon",\n "coordinates": [[1, }', "invalid at line 2, column 22"),
        ("[1, 2, 3, 4]", "not a GeoJSON object"),
        ('{"a":' * 50_000, "nested too deeply"),
        ({}, "GeoJSON is not a GeoJSON object with a type"),
        ({"type": "Topology"}, "has an unknown type"),
        ({"type": "FeatureCollection"}, "without a list of features"),
        (collection(), "has no shape"),
        (collection(None), "has no shape"),
        (collection(SQUARE, "here"), r"features\[1\].geometry is not a GeoJSON object"),
        (polygon((0, 0), (1,), (1, 1)), "coordinates are not those of a Polygon"),
        (polygon((0, 0), (1, 1)), "coordinates are not those of a Polygon"),
        (polygon((0, 0), (1, "b"), (1, 1)), "coordinates are not those of a Polygon"),
        (polygon((0, 0), (1, None), (1, 1)), "infinite or not a number"),
        ({"type": "Point", "coordinates": [10**400, 1]}, "not those of a Point"),
        ({**SQUARE, "crs": {"type": "link"}}, "has no valid CRS name"),
        (polygon((0, 60), (90, 60), (180, -60), (-90, -60)), "the pole it encloses is"),
    ],
)
def test_what_cannot_be_an_area_is_refused_in_words(text, words, folder):
    with pytest.raises(AreaError, match=words) as refused:
        Area.parse(text, folders=[folder])
    assert str(refused.value).startswith("Area ")
    assert len(str(refused.value)) < 500


DEGREES = {"type": "Polygon", "coordinates": [[[34, 44], [36, 44], [36, 46], [34, 44]]]}


@pytest.mark.parametrize("code", ["EPSG:3857", "EPSG:32636", "EPSG:3035", "EPSG:2154", "EPSG:2263"])
def test_degrees_that_are_declared_as_metres_are_refused(code, folder):
    crs = {"type": "name", "properties": {"name": code}}
    layer(shape(DEGREES), crs=code).to_file(folder / "said.gpkg")
    wkt = f"SRID={code[5:]};{shape(DEGREES).wkt}"
    for text in (wkt, {**DEGREES, "crs": crs}, collection(DEGREES, crs=crs), "said"):
        with pytest.raises(AreaError, match=r"look like degrees, but its CRS.* is in m"):
            Area.parse(text, folders=[folder])


def test_metres_near_the_middle_of_a_projection_are_metres():
    area = Area.parse("SRID=3857;POLYGON((0 0,2000 0,2000 2000,0 2000,0 0))")
    assert area.geometry.bounds == pytest.approx((0, 0, 0.018, 0.018), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("POLYGON((34 44,34.00001 44,34 44.00001,34 44))", "smaller than 10 m"),
        ("POLYGON((10 86,11 86,11 87,10 86))", "that close to a pole"),
        ("-60,-89,-50,-82", "that close to a pole"),
        ("-180,-90,180,90", "covers 100% of the world map"),
        ("34,44,36,46", ""),
        ("POINT(34 44)", ""),
        ("179.9,10,-179.9,11", ""),
    ],
)
def test_an_area_that_is_hardly_meant_is_warned_of(text, words, caplog):
    with caplog.at_level(logging.WARNING):
        Area.parse(text)
    assert words in caplog.text
    assert bool(caplog.messages) == bool(words)


@pytest.mark.parametrize("suffix", ["geojson", "json", "gpkg", "shp", "kml", "kmz", "fgb", "zip"])
def test_an_empty_file_is_said_to_be_empty(suffix, folder):
    (folder / f"nothing.{suffix}").write_bytes(b"")
    with pytest.raises(AreaError, match="it is empty") as refused:
        Area.parse("nothing", folders=[folder])
    assert "implify" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        *("CURVEPOLYGON((0 0,1 1,2 0,0 0))", "MULTISURFACE(((0 0,1 1,2 0,0 0)))", "TIN(((0 0)))"),
        *("COMPOUNDCURVE((0 0,1 1),CIRCULARSTRING(1 1,2 2,3 3))", "CIRCULARSTRING(0 0,1 1,2 0)"),
        *("POLYHEDRALSURFACE(((0 0,1 1,2 0,0 0)))", "TRIANGLE((0 0,1 1,2 0,0 0))"),
    ],
)
def test_geometries_that_are_none_of_ours_are_refused(text):
    with pytest.raises(AreaError, match="WKT cannot be read"):
        Area.parse(text)


@pytest.mark.parametrize("shape_of", ["[[0, 0], [1, 1]]", "[0, 0]", "0", '{"a": 1}', "null", "[]"])
@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon", "LineString", "Point"])
def test_what_is_expected_of_coordinates_is_said_in_our_words(kind, shape_of):
    text = f'{{"type": "{kind}", "coordinates": {shape_of}}}'
    with contextlib.suppress(AreaError):
        Area.parse(text)
        return
    with pytest.raises(AreaError) as refused:
        Area.parse(text)
    for foreign in ("Exception", "linearring", "array", "iterable", "subscript", "object is"):
        assert foreign not in str(refused.value)


def test_deeply_nested_collections_are_refused():
    node = SQUARE
    for _ in range(5000):
        node = {"type": "GeometryCollection", "geometries": [node]}
    with pytest.raises(AreaError, match="nested too deeply"):
        Area.parse(node)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("a.geojson", b"", "it is empty"),
        ("a.geojson", b"\xff\xfe{", "cannot be read"),
        ("a.gpkg", b"not a database", "cannot be read as .gpkg"),
        ("a.shp", b"torn", "cannot be read"),
        ("a.zip", b"PK torn", "cannot be read"),
    ],
)
def test_a_broken_file_is_refused(file, content, words, folder):
    (folder / file).write_bytes(content)
    with pytest.raises(AreaError, match=rf"{file}.*{words}"):
        Area.parse("a", folders=[folder])


def test_a_file_in_metres_without_crs_is_refused(folder):
    layer(UTM_SQUARE, crs="EPSG:32633").to_file(folder / "field.shp")
    (folder / "field.prj").unlink()
    with pytest.raises(AreaError, match=r"need their CRS: .*\.prj"):
        Area.parse("field", folders=[folder])


def test_a_huge_file_is_refused_unread(folder):
    with (folder / "huge.geojson").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # takes no space on the disk
    with pytest.raises(AreaError, match=f"{MAX_FILE_BYTES + 1} bytes, more than {MAX_FILE_BYTES}"):
        Area.parse("huge", folders=[folder])


def test_no_text_is_a_path_whatever_the_working_folder(folder, tmp_path, monkeypatch):
    outside = tmp_path / "outside.geojson"
    assert Area.parse(outside).geometry.area == 1
    for here in (folder, tmp_path, "/"):
        monkeypatch.chdir(here)
        for text in ("outside", "outside.geojson", "../outside.geojson", str(outside)):
            for folders in ([folder], []):
                with pytest.raises(AreaError, match=r"no such name|not a name"):
                    Area.parse(text, folders=folders)


@given(st.text() | st.from_regex(r"[POLYGNT(){}\[\]\"0-9a-z ,.:/-]{1,40}", fullmatch=True))
def test_any_text_is_an_area_or_refused(text):
    with contextlib.suppress(AreaError):
        assert not Area.parse(text).geometry.is_empty
