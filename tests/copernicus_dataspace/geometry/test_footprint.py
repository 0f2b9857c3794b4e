"""What a footprint covers, whichever way its ring is written, and what is none."""

import json
import subprocess
import sys

import pytest
import shapely
from shapely.geometry import shape

from copernicus_dataspace.catalogue.dataframe import to_frame
from copernicus_dataspace.geometry.area import Area
from copernicus_dataspace.geometry.footprint import bounds, covered, geojson, middle, polygons, span
from copernicus_dataspace.stac.item import item_of, product_of
from copernicus_dataspace.stac.static_catalog import refresh
from tests.support.products.held import CREATED, SENSED, delivery, held_product, hold
from tests.support.shapes.seam import (
    FIJI,
    FIJI_CUT,
    NO_FOOTPRINTS,
    T01KAB,
    T01LAC,
    box,
    nested,
    polygon,
)

UNUSABLE = [*NO_FOOTPRINTS, nested()]


@pytest.mark.parametrize(
    ("footprint", "box_of", "centre"),
    [
        (FIJI, (179, -18, -179, -16), (180, -17)),
        (FIJI_CUT, (179, -18, -179, -16), (180, -17)),
        (polygon(box(179, -18, 541, -16)), (179, -18, -179, -16), (180, -17)),
        (T01KAB, (179.23921, -17.25485, -179.71545, -16.247763), (179.76188, -16.7513065)),
        (polygon(box(-181, 0, -178, 1)), (179, 0, -178, 1), (-179.5, 0.5)),
        (polygon(box(178, 0, 180, 1)), (178, 0, 180, 1), (179, 0.5)),
        (polygon(box(-180, 0, -178, 1)), (-180, 0, -178, 1), (-179, 0.5)),
        (polygon(box(370, 0, 372, 1)), (10, 0, 12, 1), (11, 0.5)),
        (polygon([(-90, 0), (0, 0), (120, 0), (120, 1), (0, 1), (-90, 1), (-90, 0)]),
         (-90, 0, 120, 1), (15, 0.5)),
        (polygon([(0, 70), (90, 70), (180, 70), (-90, 70), (0, 70)]), (-180, 70, 180, 90), (0, 80)),
    ],
)  # fmt: skip
def test_bounds_go_east_from_west_to_east(footprint, box_of, centre):
    assert bounds(footprint) == pytest.approx(box_of)
    assert middle(footprint) == pytest.approx(centre)


@pytest.mark.parametrize(
    ("intervals", "narrowest"),
    [
        ([(10, 20)], (10, 20)),
        ([(179, -179)], (179, -179)),
        ([(-180, -179), (179, 180)], (179, -179)),
        ([(170, -170), (-175, -160)], (170, -160)),
        ([(170, -170), (-179, -175)], (170, -170)),
        ([(-150, 150)], (-150, 150)),
        ([(-180, 0), (0, 180)], (-180, 180)),
        ([(1, -1), (-2, 2)], (-180, 180)),
        ([(-20, -10), (30, 40), (-15, 35)], (-20, 40)),
    ],
)
def test_the_narrowest_interval_may_cross_180(intervals, narrowest):
    assert span(intervals) == narrowest
    assert span(intervals[::-1]) == narrowest


@pytest.mark.parametrize(
    ("one", "others", "share"),
    [
        (FIJI, [FIJI_CUT], 1),
        (FIJI, [polygon(box(179, -18, 180, -16))], 0.5),
        (FIJI, [polygon(box(-181, -18, -179.5, -16))], 0.75),
        (FIJI, [polygon(box(10, -18, 20, -16))], 0),
        (FIJI_CUT, [FIJI], 1),
        (polygon(box(538, -18, 540, -16)), [FIJI], 0.5),
        (T01KAB, [FIJI], 1),
        (T01KAB, [polygon(T01KAB["coordinates"][0][::-1])], 1),
        (polygon(box(179, 0, -179, 8), box(-180, 0, -179, 8)), [polygon(box(179, 0, 180, 4))], 0.5),
    ],
)  # fmt: skip
def test_ground_is_covered_across_180(one, others, share):
    assert covered(one, others) == pytest.approx(share)


@pytest.mark.parametrize("footprint", UNUSABLE, ids=map(str, range(len(UNUSABLE))))
def test_what_cannot_be_used_is_never_an_error(footprint):
    assert polygons(footprint) is None
    assert geojson(footprint) is None
    assert bounds(footprint) is None
    assert middle(footprint) is None
    assert covered(footprint, [FIJI]) is None
    assert Area.parse("10,50,11,51").touches(footprint)
    product = held_product(footprint=footprint)
    document = json.loads(item_of(delivery(product), product, CREATED))
    assert document["geometry"] is None
    assert "bbox" not in document
    frame = to_frame([product, held_product()], geometry=True)
    assert frame.geometry[0] is None
    assert frame.geometry[1].is_valid


@pytest.mark.parametrize("footprint", [FIJI, T01KAB, T01LAC, FIJI_CUT])
@pytest.mark.parametrize("turn", [1, -1])
def test_items_and_frames_hold_what_rfc_7946_wants(footprint, turn):
    if footprint["type"] == "Polygon":
        footprint = polygon(footprint["coordinates"][0][::turn])
    product = held_product(footprint=footprint)
    written = item_of(delivery(product), product, CREATED)
    document = json.loads(written)
    outline = shape(document["geometry"])
    assert outline.geom_type == "MultiPolygon"
    assert outline.is_valid
    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(outline))).all()
    assert outline.bounds[::2] == (-180, 180)
    assert outline.area < 5
    west, _, east, _ = document["bbox"]
    assert west > 179 > -179 >= east or (west, east) == (179, -179)
    told = product_of(written)
    assert item_of(delivery(product), told, CREATED) == written
    (row,) = to_frame([product], geometry=True).geometry
    assert row.is_valid
    assert row.equals(outline)


def test_catalogues_round_180_are_as_wide_as_what_they_hold(store):
    for number, footprint in enumerate([T01KAB, polygon(box(177, -17, 178, -16))]):
        hold(store, held_product(number, baseline=f"051{number}", footprint=footprint))
    refresh(store, "S2MSI2A", [SENSED.date()])
    collection = json.loads(store.read("stac/S2MSI2A/collection.json"))
    (bbox,) = collection["extent"]["spatial"]["bbox"]
    assert bbox == pytest.approx([177, -17.25485, -179.71545, -16])


@pytest.mark.parametrize("product", ["20230626T022157", "20230626T022158"])
def test_a_real_footprint_at_180_is_cut(shared_data, product):
    (text,) = [
        path.read_text() for path in shared_data.glob(f"metadata/*T01WCP_{product}/MTD_MSIL2A.xml")
    ]
    numbers = text.partition("<EXT_POS_LIST>")[2].partition("<")[0].split()
    ring = [(float(lon), float(lat)) for lat, lon in zip(numbers[::2], numbers[1::2], strict=True)]
    west, south, east, north = bounds(polygon(ring))
    assert (west, east) == pytest.approx((178.474, -178.966), abs=0.001)
    assert (south, north) == pytest.approx((65.672, 66.722), abs=0.05)
    assert polygons(polygon(ring)).is_valid


def test_links_need_no_geometry_library_until_they_are_made():
    code = "import sys, copernicus_dataspace.geometry.footprint; "
    code += "print({'shapely', 'numpy', 'pyproj'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
