"""Rings that meet the antimeridian, as people and catalogues write them."""


def polygon(*rings):
    return {"type": "Polygon", "coordinates": [[list(place) for place in ring] for ring in rings]}


def box(west, south, east, north):
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


FIJI = polygon(
    [[179, -18], [180, -18], [-180, -18], [-179, -18], [-179, -16], [-180, -16], [180, -16],
     [179, -16], [179, -18]]
)  # fmt: skip
"""It walks along 180 degrees under both names of it."""

FIJI_CUT = {
    "type": "MultiPolygon",
    "coordinates": [[box(179, -18, 180, -16)], [box(-180, -18, -179, -16)]],
}

T01KAB = polygon(
    [[180, -16.259071], [-179.71545, -16.263411], [-179.72957, -17.25485], [180, -17.250482],
     [179.23921, -17.238192], [179.258625, -16.247763], [180, -16.259071]]
)  # fmt: skip
"""As ESA's metadata of S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB draws it, uncut."""

T01LAC = polygon(
    [[180, -15.355911], [-179.70343, -15.36019], [-179.71667, -16.351724], [180, -16.34738],
     [179.256949, -16.335986], [179.275178, -15.345454], [180, -15.355911]]
)  # fmt: skip

SQUARE = box(10, 10, 11, 11)
NO_FOOTPRINTS = [
    None,
    {},
    [],
    "POLYGON((10 10,11 10,11 11,10 10))",
    5,
    {"type": "Polygon"},
    {"type": "Polygon", "coordinates": None},
    {"type": "Polygon", "coordinates": {"outer": 1}},
    {"type": "Polygon", "coordinates": "10 10"},
    {"type": "Polygon", "coordinates": SQUARE},
    {"type": "Polygon", "coordinates": [[SQUARE]]},
    {"type": "Polygon", "coordinates": [SQUARE, None]},
    {"type": "Polygon", "coordinates": [SQUARE, [[1, 2]]]},
    {"type": "MultiPolygon", "coordinates": [SQUARE]},
    {"type": ["Polygon"], "coordinates": [SQUARE]},
    {"type": "polygon", "coordinates": [SQUARE]},
    {"type": "Point", "coordinates": [10, 10]},
    {"type": "LineString", "coordinates": [[10, 10], [11, 11]]},
    {"type": "GeometryCollection", "geometries": []},
    {"type": "Feature", "geometry": None},
    {"type": "Polygon", "coordinates": [SQUARE], "crs": {"properties": {"name": "EPSG:99999"}}},
    polygon(),
    polygon([]),
    polygon([(10, 10)]),
    polygon([(10, 10), (11, 11), (10, 10)]),
    polygon([(10, 10), (10, 11), (10, 12), (10, 10)]),
    polygon([(10,), (11,), (12,), (10,)]),
    polygon([("10", "10"), ("11", "10"), ("11", "11"), ("10", "10")]),
    polygon([(10, 10), (11, 10), ("east", 11), (10, 10)]),
    polygon([(10, 10), (11, None), (11, 11), (10, 10)]),
    polygon([(10, 10), (float("nan"), 10), (11, 11), (10, 10)]),
    polygon([(10, 10), (float("inf"), 10), (11, 11), (10, 10)]),
    polygon([(10, 10), (10**400, 10), (11, 11), (10, 10)]),
    polygon([(10, 10), (11, 10), (11, 91), (10, 10)]),
    polygon(box(600000, 4490000, 709800, 4599800)),
    polygon([(0, 60), (90, 60), (180, -60), (-90, -60), (0, 60)]),
]


def nested(depth=5000):
    """Return coordinates that are nested too deeply to be read."""
    coordinates = SQUARE
    for _ in range(depth):
        coordinates = [coordinates]
    return {"type": "Polygon", "coordinates": coordinates}
