"""Areas of very many corners: said to the catalogue in no time, and compared exactly nevertheless.

The bounds from which an area is taken so are lowered here, so that small shapes show what large
ones do.
"""

import json

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from shapely.geometry import mapping

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry import antimeridian, area, simplification
from copernicus_dataspace.geometry.area import Area
from copernicus_dataspace.geometry.winding_number import RingIndex
from tests.copernicus_dataspace.geometry.test_area import assert_searchable
from tests.support.shapes.scribbles import scribbles, wound_round

SLOW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

EIGHT = [(11, 0), (8, 6), (0, 0), (3, 12), (9, 4), (9, 5)]
"""With a small loop that is drawn the other way round than the large one."""


@pytest.fixture(autouse=True)
def low_bounds(monkeypatch):
    monkeypatch.setattr(simplification, "MANY_VERTICES", 4)
    for module in (antimeridian, area):
        monkeypatch.setattr(module, "VAST", 4)
    simplification.cover.cache_clear()
    yield
    simplification.cover.cache_clear()


def squares_over(geometry):
    west, south, east, north = geometry.bounds
    step = max(east - west, north - south) / 7
    edges = np.arange(-1, 9) * step
    return [
        shapely.box(west + x, south + y, west + x + step / 3, south + y + step / 3)
        for x in edges
        for y in edges
        if -180 <= west + x < 179 and -90 <= south + y < 89
    ]


@SLOW
@given(scribbles())
@example(shapely.Polygon([(0, 0), (4, 3), (0, 3), (4, 0), (2, 5)]))
@example(shapely.Polygon(EIGHT))
def test_the_outline_of_a_ring_that_crosses_itself_covers_all_it_winds_round(drawn):
    true = wound_round(drawn)
    pieces = shapely.union_all(assert_searchable(Area.parse(mapping(drawn))))
    assert pieces.covers(true)
    assert pieces.difference(shapely.convex_hull(true).buffer(0.02)).area < true.area + 1e-3


@SLOW
@given(scribbles())
@example(shapely.Polygon([(0, 0), (4, 3), (0, 3), (4, 0), (2, 5)]))
@example(shapely.Polygon(EIGHT))
def test_a_footprint_is_compared_with_what_the_ring_winds_round(drawn):
    true, drawn_area = wound_round(drawn), Area.parse(mapping(drawn))
    for square in squares_over(drawn):
        touches = drawn_area.touches(square)
        if drawn.exterior.distance(square) > 1e-8:
            assert touches == true.intersects(square)
        else:  # an edge drawn to and fro encloses nothing; what rounding leaves is nothing, too
            assert touches or true.intersection(square).area < 1e-9 * square.length


def test_what_is_wound_round_twice_is_inside():
    turns = np.arange(5) * 4 * np.pi / 5
    star = shapely.Polygon(np.column_stack([np.cos(turns), np.sin(turns)]))
    assert RingIndex(star).enclose(shapely.box(-0.1, -0.1, 0.1, 0.1))
    assert Area.parse(mapping(star)).touches(shapely.box(-0.1, -0.1, 0.1, 0.1))
    assert not RingIndex(star).enclose(shapely.box(0.8, 0.8, 0.9, 0.9))


@pytest.mark.parametrize(
    ("place", "told"),
    [((5, 5), False), ((1, 1), True), ((9, 9), True), ((11, 5), False), ((25, 5), True)],
)
def test_holes_and_parts_count(place, told):
    ring = shapely.box(0, 0, 10, 10).segmentize(1).exterior.coords
    hole = shapely.box(3, 3, 7, 7).segmentize(1).exterior.coords
    beside = shapely.box(20, 0, 30, 10).segmentize(1)
    drawn = Area.parse(mapping(shapely.MultiPolygon([shapely.Polygon(ring, [hole]), beside])))
    assert drawn.touches(shapely.Point(place).buffer(0.5)) is told


def test_overlapping_parts_are_one_area():
    parts = [shapely.box(west, 0, west + 4, 4).segmentize(0.5) for west in (0, 1)]
    drawn = Area.parse(json.loads(shapely.to_geojson(shapely.MultiPolygon(parts))))
    assert drawn.touches(shapely.box(2, 2, 2.1, 2.1))
    assert_searchable(Area.parse(mapping(shapely.union_all(parts))))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("POLYGON((45 120,46 120,46 121,45 121,45 120))", "may be swapped"),
        ("POLYGON((600000 1,600001 1,600001 2,600000 2,600000 1))", "need their CRS"),
        ("POLYGON((0 0,1 1,2 2,3 3,4 4,0 0))", "enclose no area"),
        ("POLYGON((1 0,1 1,1 2,1 3,1 4,1 0))", "enclose no area"),
    ],
)
def test_many_corners_make_no_area_of_what_is_none(text, words):
    with pytest.raises(AreaError, match=words):
        Area.parse(text)


def test_across_180_it_is_cut_as_ever():
    ring = shapely.box(170, 0, 190, 10).segmentize(2)
    parts = Area.parse(mapping(ring)).geometry
    assert sorted(part.bounds[::2] for part in parts.geoms) == [(-180, -170), (170, 180)]


def test_points_beside_polygons_are_kept():
    ring = shapely.box(0, 0, 1, 1).segmentize(0.1)
    both = Area.parse(shapely.GeometryCollection([ring, shapely.Point(50, 50)]).wkt)
    assert both.touches(shapely.box(49, 49, 51, 51))
    assert_searchable(both)


@pytest.mark.parametrize("beside", [[], [shapely.LineString([(0, 0), (1, 1)])]])
def test_very_many_points_are_an_area_without_rings(beside):
    points = shapely.MultiPoint([(west, 10) for west in range(6)])
    if beside:
        assert Area(shapely.GeometryCollection([points, *beside]), "x").touches(points.envelope)
        return
    drawn = Area.parse(points.wkt)
    assert drawn.touches(shapely.box(4.5, 9.5, 5.5, 10.5))
    assert not drawn.touches(shapely.box(4.1, 9.5, 4.9, 10.5))
    assert_searchable(drawn)


def test_edges_of_full_height_are_not_noted_many_times():
    teeth = np.arange(4000) / 100
    comb = shapely.Polygon([*zip(teeth, np.tile([1, 9], 2000), strict=True), (40, 0), (0, 0)])
    rings = RingIndex(comb)
    assert len(rings._by_band) < 8 * shapely.get_num_coordinates(comb)
    assert rings.enclose(shapely.box(20.0099, 5, 20.0101, 5.1))
    assert not rings.enclose(shapely.box(20.0199, 5, 20.0201, 5.1))


def test_short_edges_are_looked_up_in_narrow_bands():
    rings = RingIndex(shapely.Point(0, 0).buffer(10, quad_segs=1000))
    assert len(rings._begin) == 513
