"""Shapes on the globe: whatever the longitudes, the same ground, valid and cut at 180 degrees."""

import numpy as np
import pytest
import shapely
import shapely.affinity
from hypothesis import example, given
from hypothesis import strategies as st
from shapely.geometry import shape

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.antimeridian import on_globe
from tests.support.shapes.scribbles import scribbles, wound_round
from tests.support.shapes.seam import FIJI, T01KAB, T01LAC, box, polygon

WORLD = shapely.box(-180, -90, 180, 90)


def placed(*outlines):
    """Return outlines on the globe, once what holds for all of them has been seen to."""
    geometry = on_globe([shape(one) if isinstance(one, dict) else one for one in outlines]).geometry
    assert geometry.is_valid
    assert geometry.is_empty or WORLD.covers(geometry)
    assert {part.geom_type for part in shapely.get_parts(geometry)} <= {"Polygon"}
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(geometry)]
    assert all((np.abs(np.diff(ring[:, 0])) <= 180).all() for ring in rings)
    again = on_globe([geometry]).geometry
    assert again.normalize().equals_exact(geometry.normalize(), 1e-12)
    return geometry


def sides(*spans, south=0, north=1):
    """Return boxes between longitudes."""
    return shapely.union_all([shapely.box(west, south, east, north) for west, east in spans])


def assert_same(one, other, within=1e-9):
    assert shapely.symmetric_difference(one, other).area == pytest.approx(0, abs=within)


EAST_WEST = sides((179, 180), (-180, -179))


@pytest.mark.parametrize(
    "ring",
    [
        box(179, 0, -179, 1),
        box(-179, 0, 179, 1),
        box(179, 0, 181, 1),
        box(-181, 0, -179, 1),
        box(539, 0, 541, 1),
        box(-541, 0, -539, 1),
        box(1979, 0, -1979, 1),
        [(179, 0), (541, 0), (-179, 1), (-541, 1), (179, 0)],
        [(179, 0, 7), (-179, 0, 7), (-179, 1, 8), (179, 1, 8), (179, 0, 7)],
        [(179, 0), (180, 0), (-179, 0), (-179, 1), (180, 1), (179, 1), (179, 0)],
        [(179, 0), (-180, 0), (-179, 0), (-179, 1), (180, 1), (179, 1), (179, 0)],
        [(179, 0), (180, 0), (-180, 0), (-179, 0), (-179, 1), (180, 1), (179, 1), (179, 0)],
        [(179, 0), (180, 0), (-180, 0), (180, 0), (-179, 0), (-179, 1), (179, 1), (179, 0)],
        [(180, 0), (-180, 0), (-179, 0), (-179, 1), (-180, 1), (180, 1), (179, 1), (179, 0),
         (180, 0)],
        [(-180, 1), (180, 1), (179, 1), (179, 0), (180, 0), (-180, 0), (-179, 0), (-179, 1),
         (-180, 1)],
    ],
)  # fmt: skip
@pytest.mark.parametrize("turn", [1, -1])
def test_a_box_across_180_is_the_same_however_it_is_written(ring, turn):
    assert_same(placed(polygon(ring[::turn])), EAST_WEST)


@pytest.mark.parametrize(
    ("ring", "spans"),
    [
        (box(179, 0, 180, 1), [(179, 180)]),
        (box(179, 0, -180, 1), [(179, 180)]),
        (box(-180, 0, -179, 1), [(-180, -179)]),
        (box(180, 0, -179, 1), [(-180, -179)]),
        ([(179, 0), (180, 0), (-180, 1), (179, 1), (179, 0)], [(179, 180)]),
        ([(-180, 0), (-179, 0), (-179, 1), (180, 1), (-180, 0)], [(-180, -179)]),
        ([(179, 0), (180, 0), (-180, 0.5), (180, 0.7), (-180, 1), (179, 1), (179, 0)],
         [(179, 180)]),
        (box(180, 0, 200, 1), [(-180, -160)]),
        (box(360, 0, 361, 1), [(0, 1)]),
    ],
)  # fmt: skip
def test_both_names_of_the_antimeridian_are_one_place(ring, spans):
    assert_same(placed(polygon(ring)), sides(*spans))


@pytest.mark.parametrize(
    ("ring", "spans"),
    [
        ([(-150, 0), (0, 0), (150, 0), (150, 1), (0, 1), (-150, 1), (-150, 0)], [(-150, 150)]),
        ([(0, 0), (150, 0), (300, 0), (300, 1), (150, 1), (0, 1), (0, 0)],
         [(0, 180), (-180, -60)]),
        (box(-90, 0, 90, 1), [(-90, 90)]),
        (box(-150, 0, 150, 1), [(150, 180), (-180, -150)]),
        (box(-180, 0, 180, 1), [(-180, 180)]),
        (box(0, 0, 360, 1), [(-180, 180)]),
        ([(-180, 0), (180, 0), (180, 1), (0, 1), (-180, 1), (-180, 0)], [(-180, 180)]),
        ([(-200, 0), (-20, 0), (160, 0), (170, 0), (170, 1), (160, 1), (-20, 1), (-200, 1),
          (-200, 0)], [(-180, 180)]),
    ],
)  # fmt: skip
def test_what_is_drawn_without_a_jump_is_as_wide_as_drawn(ring, spans):
    assert_same(placed(polygon(ring)), sides(*spans))


def test_a_strip_round_the_earth_may_reach_across_the_equator():
    assert placed(polygon(box(-180, -60, 180, 70))).area == pytest.approx(360 * 130)
    assert placed(polygon(box(-180, -90, 180, 90))).area == pytest.approx(360 * 180)


SHELL = box(170, 0, -170, 10)


@pytest.mark.parametrize(
    "shell",
    [SHELL, SHELL[::-1], box(170, 0, 190, 10), box(-190, 0, -170, 10), box(530, 0, 550, 10)],
)
@pytest.mark.parametrize(
    ("hole", "spans"),
    [
        (box(178, 4, -178, 6), [(178, 180), (-180, -178)]),
        (box(178, 4, 182, 6), [(178, 180), (-180, -178)]),
        (box(178, 4, 180, 6), [(178, 180)]),
        (box(178, 4, -180, 6), [(178, 180)]),
        (box(-180, 4, -178, 6), [(-180, -178)]),
        (box(180, 4, 182, 6), [(-180, -178)]),
        (box(172, 4, 174, 6), [(172, 174)]),
        (box(-188, 4, -186, 6), [(172, 174)]),
        (box(-178, 4, -176, 6), [(-178, -176)]),
        (box(542, 4, 544, 6), [(-178, -176)]),
        (box(500, 4, 501, 6), []),
        ([(178, 4), (180, 5), (178, 6), (178, 4)], None),
        ([(178, 4), (180, 4), (-180, 4), (-178, 4), (-178, 6), (178, 6), (178, 4)],
         [(178, 180), (-180, -178)]),
    ],
)  # fmt: skip
def test_a_hole_is_one_wherever_and_however_it_is_written(shell, hole, spans):
    ground = placed(polygon(shell, hole[::-1]))
    gone = shapely.Polygon(hole) if spans is None else sides(*spans, south=4, north=6)
    whole = sides((170, 180), (-180, -170), north=10)
    assert_same(ground, shapely.difference(whole, gone))


def test_a_hole_in_another_turn_than_a_shell_beside_180_is_one():
    ground = placed(polygon(box(170, 0, 180, 10), box(-188, 4, -186, 6)))
    assert_same(ground, shapely.box(170, 0, 180, 10) - shapely.box(172, 4, 174, 6))


def round_pole(lat, start=0, wave=0.0, step=30):
    lons = np.arange(start, start + 361, step)
    return [(float(lon), lat + wave * float(np.sin(np.radians(lon)))) for lon in lons]


@pytest.mark.parametrize("pole", [1, -1])
@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize(
    "ring",
    [
        round_pole(70)[:-1],
        [((lon + 180) % 360 - 180, lat) for lon, lat in round_pole(70)],
        [*round_pole(70, start=-180), (-180, 70)],
        [*round_pole(70, start=-180, wave=5), (-180, 70)],
        [*round_pole(70, start=180), (180, 70)],
        [(-180, 90), *round_pole(70, start=-180), (180, 90)],
        [(0, 70), (120, 70), (240, 70), (360, 70)],
        [(170, 70), (-70, 70), (50, 70)],
    ],
)
def test_a_ring_round_a_pole_holds_it(ring, turn, pole):
    ring = [(lon, lat * pole) for lon, lat in ring][::turn]
    ground = placed(polygon([*ring, ring[0]]))
    assert ground.area == pytest.approx(360 * 20)
    assert ground.bounds[::2] == (-180, 180)
    assert pole * 90 in ground.bounds


def test_a_ring_round_the_pole_may_have_a_hole_round_it():
    hole, island = round_pole(80), box(178, 62, -178, 64)
    assert placed(polygon(round_pole(60), hole, island)).area == pytest.approx(7200 - 8)


def test_which_pole_is_inside_must_be_told():
    with pytest.raises(AreaError, match="the pole it encloses is"):
        on_globe([shape(polygon([(0, 60), (90, 60), (180, -60), (-90, -60), (0, 60)]))])


@pytest.mark.parametrize("outline", [FIJI, T01KAB, T01LAC])
def test_real_rings_are_cut_in_two(outline):
    ground = placed(outline)
    west, east = sorted(shapely.get_parts(ground), key=lambda part: part.bounds)
    assert west.bounds[0] == -180
    assert east.bounds[2] == 180
    (ring,) = outline["coordinates"]
    assert ground.area == pytest.approx(
        shapely.Polygon([(lon % 360, lat) for lon, lat in ring]).area
    )


def test_what_was_cut_already_stays_and_what_has_no_width_goes():
    cut = shapely.MultiPolygon([shapely.box(179, 0, 180, 1), shapely.box(-180, 0, -179, 1)])
    assert_same(placed(cut), EAST_WEST)
    line = [(180, 0), (180, 1), (-180, 1), (-180, 0.5), (180, 0)]
    assert len(shapely.get_parts(placed(cut, polygon(line)))) == 2
    sliver = polygon([(178, 0), (180, 0), (180.00000000000003, 0.5), (180, 1), (178, 1), (178, 0)])
    assert placed(sliver).geom_type == "Polygon"
    assert on_globe([shape(polygon(line))]).geometry.is_empty


def test_a_point_at_180_has_both_names():
    place = on_globe([shapely.Point(180, -16.8), shapely.Point(540, 1), shapely.Point(370, 2)])
    expected = {(180, -16.8), (-180, -16.8), (180, 1), (-180, 1), (10, 2)}
    assert {*map(tuple, shapely.get_coordinates(place.geometry))} == expected


# --- properties --------------------------------------------------------------------------------


@st.composite
def rings(draw):
    """Star-shaped rings anywhere, drawn without jumps; and a middle that is inside."""
    lon, lat = (
        draw(st.sampled_from([180, -180, 179.5, 540]) | st.floats(-400, 400)),
        draw(st.floats(-60, 60)),
    )
    size = draw(st.sampled_from([1e-4, 0.7, 25]))
    radii = draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]) | st.floats(0.2, 1), min_size=5))
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    star = np.column_stack([lon + size * np.cos(angle) * radii, lat + size * np.sin(angle) * radii])
    return np.vstack([star, star[:1]]), (lon, lat)


def rewritten(ring, turns):
    """Return a ring with turns added to each longitude, the last being that of the first."""
    added = [360 * turns[i % len(turns)] for i in range(len(ring) - 1)]
    return [[lon + more, lat] for (lon, lat), more in zip(ring, [*added, added[0]], strict=True)]


@given(rings(), st.lists(st.integers(-4, 4), min_size=1, max_size=40))
@example((np.array([[180.0, 0], [181, 0], [181, 1], [180, 1], [180, 0]]), (180.5, 0.5)), [0, -1])
@example((np.array([[179.0, 0], [180, 0], [180, 1], [179, 1], [179, 0]]), (179.5, 0.5)), [0, -1])
def test_a_turn_added_to_any_position_changes_nothing(drawn, turns):
    ring, (lon, lat) = drawn
    ground = placed(polygon(ring))
    outline = shapely.Polygon(ring)
    assert ground.area == pytest.approx(outline.area, rel=1e-6)
    back = [shapely.affinity.translate(ground, 360 * turn) for turn in range(-2, 3)]
    covered = shapely.intersection(outline, shapely.union_all(back, grid_size=1e-10))
    assert covered.area == pytest.approx(outline.area, rel=1e-4)
    inside = shapely.Point((lon + 180) % 360 - 180, lat)
    assert ground.distance(inside) < 1e-9
    other = placed(polygon(rewritten(ring, turns)))
    assert other.area == pytest.approx(ground.area, rel=1e-6)
    assert shapely.hausdorff_distance(other, ground) < 1e-6


@given(
    rings(),
    st.floats(0.1, 0.9),
    st.lists(st.integers(-3, 3), min_size=1, max_size=9),
    st.lists(st.integers(-3, 3), min_size=1, max_size=9),
)
def test_a_hole_takes_its_area_whatever_the_turns(drawn, share, turns, others):
    ring, middle = drawn
    hole = middle + (ring - middle) * share
    ground = placed(polygon(rewritten(ring, turns), rewritten(hole, others)))
    area = shapely.Polygon(ring).area
    assert ground.area == pytest.approx(area * (1 - share**2), rel=1e-4)


@given(st.lists(rings(), min_size=1, max_size=5), st.integers(-3, 3))
def test_many_rings_are_one_ground(drawn, turns):
    outlines = [polygon(rewritten(ring, [turns])) for ring, _ in drawn]
    singly = shapely.union_all([placed(one) for one in outlines])
    together = placed(*outlines)
    assert together.area == pytest.approx(singly.area, rel=1e-6)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([-540, -360, -181, -180, -179, 0, 90, 179, 180, 181, 360, 540]),
            st.sampled_from([-90, -1, 0, 1, 2, 90]),
        ),
        min_size=3,
        max_size=9,
    )
)
def test_any_ring_is_valid_on_the_globe_or_refused(ring):
    try:
        ground = placed(polygon([*ring, ring[0]]))
    except AreaError:
        return
    assert ground.is_empty or ground.area > 0


# --- rings that cross themselves -----------------------------------------------------------------

ROUNDED = 1e-7
"""Corners of a repaired ring lie on a grid of 1e-9 degrees; times the length of its outline."""
EIGHT = shapely.Polygon([(11, 0), (8, 6), (0, 0), (3, 12), (9, 4), (9, 5)])
"""With a small loop that is drawn the other way round than the large one."""


@given(scribbles())
@example(EIGHT)
def test_all_that_a_ring_winds_round_is_kept(drawn):
    assert_same(placed(drawn), wound_round(drawn), ROUNDED)


@given(scribbles(st.just(175)))
@example(shapely.affinity.translate(EIGHT, 175))
def test_across_180_too(drawn):
    true = wound_round(drawn)
    east = shapely.intersection(true, shapely.box(0, -90, 180, 90))
    west = shapely.intersection(true, shapely.box(180, -90, 360, 90))
    assert_same(
        placed(drawn), shapely.union_all([east, shapely.affinity.translate(west, -360)]), ROUNDED
    )


def test_a_hole_that_crosses_itself_is_cut_out_whole():
    shell = shapely.box(-5, -5, 20, 20)
    drawn = shapely.Polygon(shell.exterior, [EIGHT.exterior])
    assert_same(placed(drawn), shell.difference(wound_round(EIGHT)), ROUNDED)
    moved = shapely.affinity.translate(drawn, 170)
    assert placed(moved).area == pytest.approx(placed(drawn).area)
