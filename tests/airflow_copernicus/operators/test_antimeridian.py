"""Areas and footprints at 180 degrees, from the search to the delivered item."""

import json
import re
from urllib.parse import unquote_plus

import pystac
import pytest
import shapely
from shapely.geometry import shape

from airflow_copernicus.hooks.copernicus import CopernicusHook
from copernicus_dataspace_emulator.products.tile import covering
from tests.airflow_copernicus.conftest import SENSED, lake_product, make_context
from tests.support.shapes.seam import FIJI, FIJI_CUT, NO_FOOTPRINTS, T01KAB, T01LAC, box, polygon

KAB, LAC = "T01KAB", "T01LAC"
FIJI_NAME, NAMIBIA_NAME = "01KAB", covering(17, -17)[0]
HOLED = polygon(FIJI["coordinates"][0], box(-180, -17.9, -179.2, -16.1))


def offer(emulator, footprints, **changes):
    """List a product a minute with one of the footprints, none of which is said as null."""
    for number, footprint in enumerate(footprints):
        sensed = SENSED.replace("08:36:01", f"08:{number:02}:01")
        emulator.add(lake_product(sensed=sensed, footprint=footprint or {}, **changes))


def delivered(ran):
    assert ran.errors == []
    return {path.split("_")[-2] for path in ran.files if path.endswith("item.json")}


@pytest.mark.parametrize(
    "area",
    [
        json.dumps(FIJI),
        json.dumps(polygon(FIJI["coordinates"][0][::-1])),
        json.dumps(HOLED),
        json.dumps(polygon(box(179, -18, 541, -16))),
        json.dumps(polygon(box(-541, -18, -179, -16))),
        "179,-18,-179,-16",
        shape(FIJI).wkt,
        "POINT(180 -16.8)",
        "POINT(-180 -16.8)",
    ],
)
def test_an_area_over_fiji_finds_fiji_and_not_namibia(connected, ingest, area):
    connected.add(lake_product(tile=FIJI_NAME, footprint=T01KAB))
    connected.add(lake_product(tile=NAMIBIA_NAME))
    assert delivered(ingest(area=area, tiles=[])) == {KAB}


def test_the_catalogue_is_asked_for_fiji_and_nothing_else(connected, ingest):
    halves = [polygon(box(179.3, -17.1, 180, -16.4)), polygon(box(-180, -17.1, -179.8, -16.4))]
    tiles = [FIJI_NAME, "60KYF", NAMIBIA_NAME]
    for tile, footprint in zip(tiles, [*halves, None], strict=True):
        connected.add(lake_product(tile=tile, footprint=footprint))
    assert delivered(ingest(area=json.dumps(FIJI), tiles=[])) == {KAB, "T60KYF"}
    (asked,) = [one for one in connected.requests if one.service == "catalogue"]
    pieces = re.findall(r"SRID=4326;(POLYGON\(\(.+?\)\))", unquote_plus(asked.query))
    assert len(pieces) == 2
    assert shapely.union_all(shapely.from_wkt(pieces)).equals(shape(FIJI_CUT))


@pytest.mark.parametrize(
    ("area", "found"),
    [
        ("179.4,-17,179.6,-16.5", {KAB}),
        ("-179.9,-17,-179.8,-16.5", {KAB}),
        ("179.9,-17,-179.9,-16.5", {KAB}),
        ("179.4,-16.3,179.6,-15.5", {KAB, LAC}),
        ("-179.9,-16,-179.8,-15.5", {LAC}),
        ("17,-17,18,-15.5", set()),
        ("-178,-17,-177,-15.5", set()),
        ("178,-17,179,-15.5", set()),
    ],
)
def test_a_product_across_180_is_found_from_either_side(connected, ingest, area, found):
    connected.add(lake_product(tile=FIJI_NAME, footprint=T01KAB))
    connected.add(lake_product(tile="01LAC", footprint=T01LAC))
    assert delivered(ingest(area=area, tiles=[])) == found


@pytest.mark.parametrize("area", ["179.4,-17,179.6,-16.5", "-179.6,-17,-179.4,-16.5"])
@pytest.mark.parametrize("footprint", [FIJI, FIJI_CUT, HOLED])
def test_a_footprint_along_180_lets_no_product_vanish(connected, ingest, area, footprint):
    connected.add(lake_product(tile=FIJI_NAME, footprint=footprint))
    found = set() if footprint is HOLED and area.startswith("-") else {KAB}
    assert delivered(ingest(area=area, tiles=[])) == found


def test_the_item_of_a_product_across_180_is_cut(connected, ingest, tmp_path):
    connected.add(lake_product(tile=FIJI_NAME, footprint=T01KAB))
    assert delivered(ingest(area=json.dumps(FIJI), tiles=[])) == {KAB}
    root = pystac.Catalog.from_file(str(tmp_path / "output" / "catalog.json"))
    (item,) = root.get_items(recursive=True)
    outline = shape(item.geometry)
    assert outline.is_valid
    assert outline.area == pytest.approx(1.0195, abs=0.001)
    assert [part.bounds[::2] for part in outline.geoms] == [(179.23921, 180), (-180, -179.71545)]
    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(outline))).all()
    assert item.bbox == pytest.approx([179.23921, -17.25485, -179.71545, -16.247763])
    (collection,) = root.get_children()
    assert collection.extent.spatial.bboxes == [item.bbox]


def test_what_has_no_usable_footprint_is_delivered_without_a_geometry(connected, ingest, tmp_path):
    footprints = [None, "POLYGON((1 1))", polygon([(10, 10)]), polygon([(1, 1), ("x", 1), (2, 2)]),
                  {"type": "Polygon", "coordinates": None}, [1], 7]  # fmt: skip
    offer(connected, footprints)
    ran = ingest(area="lake", tiles=[])
    assert ran.errors == []
    items = [json.loads(path.read_text()) for path in ran.output.rglob("item.json")]
    assert len(items) == len(footprints)
    assert {item["geometry"] for item in items} == {None}
    assert not [item for item in items if "bbox" in item]
    again = ingest(make_context(run_id="again"), area="lake", tiles=[])
    assert again.errors == []


def test_a_frame_has_the_ground_or_none(connected):
    offer(connected, [*NO_FOOTPRINTS, T01KAB, FIJI], content=False)
    frame = CopernicusHook().search_frame(tiles="36TXL", first_day="2024-08-01", geometry=True)
    frame = frame.sort_values("sensed")
    assert len(frame) == len(NO_FOOTPRINTS) + 2
    *none, kab, fiji = frame.geometry
    assert none == [None] * len(NO_FOOTPRINTS)
    assert kab.is_valid
    assert kab.area == pytest.approx(1.0195, abs=0.001)
    assert fiji.area == pytest.approx(4)
