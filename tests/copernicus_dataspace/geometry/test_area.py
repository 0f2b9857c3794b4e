import json
import logging
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from shapely.geometry import mapping

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.area import MAX_SEARCH_CHARS, Area

REAL_AREAS = Path(__file__).resolve().parents[4] / "shared/data/areas"
SQUARE = {"type": "Polygon", "coordinates": [[[10, 50], [11, 50], [11, 51], [10, 51], [10, 50]]]}
LINE = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}


def polygon(*positions):
    return {"type": "Polygon", "coordinates": [[list(position) for position in positions]]}


def collection(*geometries, **members):
    features = [{"type": "Feature", "properties": {}, "geometry": one} for one in geometries]
    return {"type": "FeatureCollection", "features": features, **members}


def coast(corners, lon, lat, size):
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radius = 1 + sum(0.3 / 2**k * np.sin(angle * 4**k + k) for k in range(7))
    return shapely.Polygon(
        np.column_stack([lon + size * radius * np.cos(angle), lat + size * radius * np.sin(angle)])
    )


def assert_searchable(area, max_chars=MAX_SEARCH_CHARS):
    """The promise of the pieces: valid as written, on the map, short, and nothing left out."""
    wkts = area.search_wkts(max_chars=max_chars)
    pieces = [shapely.from_wkt(wkt) for wkt in wkts]
    assert all(wkt.startswith(("POLYGON((", "POINT(")) for wkt in wkts)
    assert all(len(digits.rpartition(".")[2]) <= 7 for wkt in wkts for digits in fractions(wkt))
    assert shapely.is_valid(pieces).all()
    assert shapely.box(-180, -90, 180, 90).covers(shapely.geometrycollections(pieces))
    assert sum(len(quote(wkt, safe="")) for wkt in wkts) <= max_chars
    assert shapely.union_all(pieces).covers(area.geometry)
    return pieces


def fractions(wkt):
    numbers = wkt.replace("(", " ").replace(")", " ").replace(",", " ").split()[1:]
    return [number for number in numbers if "." in number]


# --- repaired ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size", "words"),
    [
        ("POLYGON((0 0,1 1,1 0,0 1,0 0))", 0.5, "crossed or touched themselves"),
        ("MULTIPOLYGON(((0 0,2 0,2 1,0 1,0 0)),((1 0,3 0,3 1,1 1,1 0)))", 3, ""),
        (collection(LINE, SQUARE), 1, r"1 line(s) beside the polygons were ignored"),
        ("POLYGON((170 0,-170 0,-170 1,170 1,170 0))", 20, "are assumed to cross 180"),
    ],
)
def test_what_can_be_repaired_is_repaired_with_a_warning(text, size, words, caplog):
    with caplog.at_level(logging.WARNING):
        area = Area.parse(text)
    assert area.geometry.is_valid
    assert area.geometry.area == pytest.approx(size)
    assert bool(caplog.messages) == bool(words)
    assert words in caplog.text
    assert_searchable(area)


def test_what_an_outline_winds_round_twice_is_inside():
    turns = np.arange(5) * 4 * np.pi / 5
    area = Area.parse(mapping(shapely.Polygon(np.column_stack([np.cos(turns), np.sin(turns)]))))
    assert area.geometry.covers(shapely.Point(0, 0))


@pytest.mark.parametrize(
    ("text", "west_part", "east_part"),
    [
        ("170,-5,-170,5", (-180, -170), (170, 180)),
        ("170,-5,190,5", (-180, -170), (170, 180)),
        ("POLYGON((179 0,-179 0,-179 1,179 1,179 0))", (-180, -179), (179, 180)),
        ("POLYGON((-181 0,-179 0,-179 1,-181 1,-181 0))", (-180, -179), (179, 180)),
        ("POLYGON((179 0,180 0,-179 0,-179 1,180 1,179 1,179 0))", (-180, -179), (179, 180)),
        (f"SRID=32660;{shapely.box(7e5, 1e6, 9e5, 1.1e6).wkt}", (-180, -179.35), (178.81, 180)),
    ],
)
def test_an_area_across_180_is_cut_there(text, west_part, east_part):
    parts = sorted(Area.parse(text).geometry.geoms, key=lambda part: part.bounds)
    bounds = [(part.bounds[0], part.bounds[2]) for part in parts]
    assert bounds == [pytest.approx(west_part, abs=0.02), pytest.approx(east_part, abs=0.02)]
    assert len(assert_searchable(Area.parse(text))) == 2


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("539,0,541,1", 2),
        ("-541,0,-539,1", 2),
        ("541,0,-178,1", 1),
        ("-179,0,-181,1", 358),
        ("400,0,600,1", 200),
        ("-540,0,-240,1", 300),
        ("350,0,-5,1", 5),
        ("-720,0,-360,1", 360),
    ],
)
def test_corners_are_modulo_360(text, size):
    area = Area.parse(text)
    assert area.geometry.area == pytest.approx(size)
    assert_searchable(area)


def test_an_outline_across_180_is_followed_on_both_sides():
    outline = coast(20_000, 180, -17, 2)
    pieces = assert_searchable(Area.parse(mapping(shapely.transform(outline, wrapped))))
    assert len(pieces) == 2
    assert sum(piece.area for piece in pieces) < 1.5 * outline.area
    assert all(abs(lon) > 175 for piece in pieces for lon in piece.bounds[::2])


def test_a_hole_across_180_stays_a_hole():
    shell = [[170, 0], [-170, 0], [-170, 10], [170, 10], [170, 0]]
    hole = [[178, 4], [-178, 4], [-178, 6], [178, 6], [178, 4]]
    area = Area.parse({"type": "Polygon", "coordinates": [shell, hole]})
    assert area.geometry.area == pytest.approx(200 - 8)
    assert not area.geometry.covers(shapely.Point(179, 5))
    assert_searchable(area)


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("pole", [90, -90])
def test_a_ring_round_a_pole_holds_the_pole(pole, turn):
    lat = pole * 7 / 9
    area = Area.parse(polygon(*((lon, lat) for lon in (0, 90, 180, -90, 0)[::turn])))
    assert area.geometry.area == pytest.approx(360 * 20)
    assert area.touches(polygon((10, pole), (12, pole), (12, pole * 0.98)))
    assert_searchable(area)


def test_a_square_round_the_pole_in_polar_metres_holds_the_pole():
    area = Area.parse(f"SRID=3031;{shapely.box(-2e6, -2e6, 2e6, 2e6).wkt}")
    assert all(area.geometry.distance(shapely.Point(lon, -85)) < 1e-9 for lon in range(-180, 181))
    assert not area.touches(polygon((0, -71), (1, -71), (1, -70)))
    assert_searchable(area)


def test_the_whole_world_is_one_piece():
    for text in ("-180,-90,180,90", "0,-90,360,90", shapely.box(-180, -90, 180, 90).wkt):
        area = Area.parse(text)
        assert area.geometry.area == pytest.approx(360 * 180)
        assert len(assert_searchable(area)) == 1


def test_a_wide_box_is_not_taken_for_one_that_crosses_180():
    assert Area.parse("-170,0,170,10").geometry.area == pytest.approx(3400)


# --- what a URL carries ------------------------------------------------------------------------


def test_far_parts_are_kept_apart_and_near_ones_put_together():
    lakes = [
        shapely.box(lon + i / 50, 45, lon + i / 50 + 0.01, 45.01)
        for i in range(40)
        for lon in (7, 140)
    ]
    pieces = assert_searchable(Area.parse(mapping(shapely.MultiPolygon(lakes))))
    assert shapely.union_all(pieces).area < 0.1
    assert 2 <= len(pieces) <= 12


def test_scattered_points_are_put_into_groups():
    places = [shapely.Point(lon, lat) for lon in range(-100, 100, 9) for lat in range(-50, 50, 9)]
    assert_searchable(Area.parse(shapely.MultiPoint(places).wkt))


def test_too_few_chars_for_anything_is_an_error():
    with pytest.raises(ValueError, match="max_chars 50 is too few"):
        Area.parse("10,50,11,51").search_wkts(max_chars=50)


def test_an_outline_of_many_corners_is_followed_outside_and_filtered_exactly():
    outline = coast(300_000, 20, 45, 2)
    started = time.monotonic()
    area = Area.parse(mapping(outline))
    assert shapely.is_prepared(area.geometry)
    pieces = assert_searchable(area)
    corners = np.column_stack(
        [np.linspace(14, 26, 100).repeat(100), np.tile(np.linspace(39, 51, 100), 100)]
    )
    squares = shapely.box(corners[:, 0], corners[:, 1], corners[:, 0] + 0.1, corners[:, 1] + 0.1)
    touched = [area.touches(json.loads(text)) for text in shapely.to_geojson(squares)]
    assert time.monotonic() - started < 20  # seconds here are 4; a hang would be minutes
    assert shapely.union_all(pieces).area < 1.5 * outline.area
    shapely.prepare(outline)
    assert touched == list(shapely.intersects(outline, squares))


def test_many_fields_do_not_hang():
    lon, lat = np.random.default_rng(1).uniform([[-5], [40]], [[5], [50]], (2, 10_000))
    fields = shapely.multipolygons(shapely.box(lon, lat, lon + 0.003, lat + 0.002))
    started = time.process_time()
    assert_searchable(Area.parse(json.loads(shapely.to_geojson(fields))))
    assert time.process_time() - started < 20


# --- footprints --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "footprint",
    [
        polygon((179, 0), (-179, 0), (-179, 1), (179, 1)),
        polygon((-179, 0), (179, 0), (179, 1), (-179, 1)),
        polygon((179, 0), (181, 0), (181, 1), (179, 1)),
        mapping(shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])),
        shapely.box(179, 0, 181, 1),
    ],
)
def test_a_footprint_across_180_is_understood_however_it_is_written(footprint):
    for west, east, expected in [
        (178, 179.5, True), (-179.5, -178, True), (179.9, -179.9, True),
        (0, 1, False), (-178, -170, False), (170, 178, False),
    ]:  # fmt: skip
        area = Area.parse(f"{west},0.2,{east},0.8")
        assert area.touches(footprint) is expected, (west, east)


@pytest.mark.parametrize(
    "footprint",
    [None, {}, "POINT(1 1)", {"type": "Polygon", "coordinates": None}, shapely.Polygon(),
     polygon((0, 95), (1, 95), (1, 96)), polygon((0, None), (1, 0), (1, 1)), LINE],
)  # fmt: skip
def test_an_unusable_footprint_is_kept(footprint):
    assert Area.parse("10,50,11,51").touches(footprint)


def test_a_footprint_is_tested_against_the_true_area(caplog):
    area = Area.parse("POLYGON((0 0,9 0,9 1,1 1,1 9,0 9,0 0))")
    assert not area.touches(shapely.box(2, 2, 8, 8))
    assert area.touches(polygon((0.5, 0.5), (8, 8), (8, 0.5), (0.5, 8)))
    assert Area.parse("POINT(5 5)").touches(shapely.box(4, 4, 5, 5))
    assert not caplog.messages


# --- properties --------------------------------------------------------------------------------


@st.composite
def rings(draw):
    """A star-shaped outline anywhere, also across 180; its longitudes go on beyond."""
    lon, lat = draw(st.floats(-180, 180)), draw(st.floats(-60, 60))
    size = draw(st.sampled_from([1e-5, 0.01, 0.7, 25]))
    radii = draw(st.lists(st.floats(0.2, 1), min_size=3, max_size=60))
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    lons = lon + size * np.cos(angle) * radii
    return np.column_stack([lons, lat + size * np.sin(angle) * radii])


def wrapped(ring):
    return np.column_stack([(ring[:, 0] + 180) % 360 - 180, ring[:, 1]])


@given(rings(), st.booleans())
@example(np.array([[180.0, 40], [200, -10], [190, 0]]), True)
@example(np.array([[179.625, 1], [180, 2], [180.375, 1], [180, -1]]), True)
def test_cutting_at_180_keeps_the_total_area(ring, jumps):
    outline = shapely.Polygon(ring)
    geometry = Area.parse(mapping(shapely.Polygon(wrapped(ring)) if jumps else outline)).geometry
    assert geometry.is_valid
    assert geometry.area == pytest.approx(outline.area, rel=1e-6)
    west, _, east, _ = geometry.bounds
    assert -180 <= west <= east <= 180


@given(st.lists(rings(), min_size=1, max_size=12), st.sampled_from([1000, 2400]))
def test_the_pieces_cover_the_area_and_fit(outlines, max_chars):
    area = Area.parse(collection(*(mapping(shapely.Polygon(ring)) for ring in outlines)))
    assert_searchable(area, max_chars)


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=30))
def test_points_are_covered(places):
    assert_searchable(Area.parse(mapping(shapely.MultiPoint(places))))


# --- real files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("california_crop_fields", 1),
        ("multipolygon", 2),
        ("polygon-xyz", 1),
        ("polygons02", 4),
        ("test_geojson_crs_from_epsg_utm", 1),
    ],
)
@pytest.mark.skipif(not REAL_AREAS.is_dir(), reason="the real areas are not on this machine")
def test_real_areas_are_searchable(name, parts):
    area = Area.parse(name, folders=[REAL_AREAS])
    assert shapely.get_num_geometries(area.geometry) == parts
    assert_searchable(area)


@pytest.mark.parametrize(
    ("name", "words"),
    [("geometrycollection", "no polygon"), ("near_and_far_polygon", "need their CRS")],
)
@pytest.mark.skipif(not REAL_AREAS.is_dir(), reason="the real areas are not on this machine")
def test_real_files_that_are_no_areas_are_refused(name, words):
    with pytest.raises(AreaError, match=words):
        Area.parse(name, folders=[REAL_AREAS])


@pytest.mark.parametrize(
    "text",
    ["10,0,11,1", "170,-20,-170,20", "-180,-60,180,60", "POINT (7.1 8.3)", "0,80,10,90"],
)
def test_an_area_is_the_same_after_it_was_stored(text):
    area = Area.parse(text)
    stored = Area.of_geojson(area.to_geojson(), "lake")
    assert stored.geometry.equals_exact(area.geometry, 0)
    assert stored.name == "lake"
    assert stored.search_wkts() == area.search_wkts()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"null", b"[]", b"{", b'{"type":"Point","coordinates":[]}'),
        b'{"type":"Point","coordinates":[200,0]}',
        b'{"type":"Point","coordinates":[0,1e400]}',
        b'{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}',
    ],
)
def test_a_stored_area_that_is_damaged_is_refused(content):
    with pytest.raises(ValueError):  # noqa: PT011
        Area.of_geojson(content, "lake")
