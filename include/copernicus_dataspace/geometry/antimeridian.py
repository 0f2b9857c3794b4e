"""Normalises polygons and points: valid, from -180 to 180 degrees, cut at the antimeridian.

Longitudes are modulo 360, as in RFC 7946, section 3.1.9: 180 and -180 are the same meridian. An
edge longer than 180 degrees goes the short way round, and so across the antimeridian; geometries
without such edges are unchanged, however wide they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import shapely

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.winding_number import RingIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_TURN: Final = 360.0
_HALF_TURN: Final = 180.0
MAX_LON: Final = 3600.0
"""Ten turns; larger values are coordinates of a map projection."""

VAST: Final = 100_000
"""Minimum number of vertices of an area that is not repaired, see `as_drawn`."""

_NO_WIDTH: Final = 1e-9
"""In degrees, a tenth of a millimetre: slivers left by cutting rounded longitudes are narrower."""

_POINT, _POLYGON, _FIRST_MULTI = 0, 3, 4
"""Type ids of shapely; those between point and polygon are lines."""


@dataclass(frozen=True, slots=True)
class NormalisedGeometry:
    """A normalised geometry, and what was changed.

    Attributes:
        geometry: Valid polygons and points between -180 and 180 degrees; empty if they have no
            width.
        lines: Number of removed lines.
        broken: Number of repaired polygons that crossed or touched themselves.
        crossing: Number of polygons with an edge of more than 180 degrees.
    """

    geometry: BaseGeometry
    lines: int = 0
    broken: int = 0
    crossing: int = 0


def on_globe(shapes: Iterable[BaseGeometry]) -> NormalisedGeometry:
    """Normalise shapes of any longitudes, parts and dimensions. Idempotent.

    Raises:
        AreaError: There are no polygons or points, or only lines; a coordinate is out of range; or
            a ring goes round the Earth, and the pole it encloses is ambiguous.
    """
    shapes = list(shapes)
    if len(shapes) == 1 and _is_usual(shapes[0]):
        return NormalisedGeometry(shapes[0])
    parts = _parts(shapes)
    kinds = shapely.get_type_id(parts)
    points, polygons = parts[kinds == _POINT], parts[kinds == _POLYGON]
    lines = len(parts) - len(points) - len(polygons)
    if not len(parts):
        message = "it has no shape; draw a polygon."
        raise AreaError(message)
    if lines and not len(polygons):
        message = f"it has {lines} line(s) and no polygon; draw a polygon, or give points."
        raise AreaError(message)
    _check_degrees(shapely.get_coordinates(parts))
    try:
        turning = _leaves_map(polygons)
        plain, broken = _valid(polygons[~turning])
        cut = [_cut(polygon) for polygon in polygons[turning]]
        named = _named_twice(points) if len(points) else ()
        geometry = _united([*plain, *(one.geometry for one in cut), *named])
        if cut:
            geometry = _without_long_edges(geometry)
    except shapely.errors.GEOSException as error:
        message = "its outline cannot be repaired. Draw it again."
        raise AreaError(message) from error
    return NormalisedGeometry(
        geometry=geometry,
        lines=lines,
        broken=broken + sum(one.broken for one in cut),
        crossing=sum(one.crossing for one in cut),
    )


def as_drawn(shapes: Iterable[BaseGeometry]) -> BaseGeometry | None:
    """Return polygons with very many vertices unchanged, even if they cross themselves.

    Validation takes seconds, and repair minutes. None if there are fewer vertices, or if other
    changes are needed: lines, points, a crossing of the antimeridian, no width.

    Raises:
        AreaError: A coordinate is out of range.
    """
    parts = _parts(shapes)
    is_vast = shapely.get_num_coordinates(parts).sum() > VAST
    if not is_vast or (shapely.get_type_id(parts) != _POLYGON).any():
        return None
    _check_degrees(shapely.get_coordinates(parts))
    hulls = shapely.convex_hull(parts)
    is_line = shapely.area(hulls) <= _NO_WIDTH * shapely.length(hulls)
    if is_line.any() or _leaves_map(parts).any():
        return None
    return cast("BaseGeometry", parts[0] if len(parts) == 1 else shapely.multipolygons(parts))


def _is_usual(shape: BaseGeometry) -> bool:
    """Tell whether a shape is a polygon that needs no change, like most footprints."""
    if shape.geom_type != "Polygon" or shape.has_z:
        return False
    west, south, east, north = shape.bounds
    return (
        -_HALF_TURN <= west <= east <= _HALF_TURN
        and -90 <= south <= north <= 90  # noqa: PLR2004
        and _NO_WIDTH < east - west <= _HALF_TURN
        and bool(shape.is_valid)
    )


def _parts(shapes: Iterable[BaseGeometry]) -> NDArray[np.object_]:
    """Return the points, lines and polygons of nested collections, in 2D."""
    parts = np.array([shape for shape in shapes if not shape.is_empty], dtype=np.object_)
    while (shapely.get_type_id(parts) >= _FIRST_MULTI).any():
        parts = shapely.get_parts(parts)
    parts = parts[~shapely.is_empty(parts)]
    return cast("NDArray[np.object_]", shapely.force_2d(parts))


def _check_degrees(positions: NDArray[np.float64]) -> None:
    if not np.isfinite(positions).all():
        message = "a coordinate is infinite or not a number (NaN); correct it."
        raise AreaError(message)
    lon, lat = np.abs(positions).T
    wrong = (lat > 90) | (lon > MAX_LON)  # noqa: PLR2004
    if not wrong.any():
        return
    first = "({:.8g}, {:.8g})".format(*positions[wrong][0])
    if lon.max() <= 90 and lat.max() <= _TURN:  # noqa: PLR2004
        message = (
            f"{first} has a latitude beyond 90; latitude and longitude may be swapped. "
            "Write longitude first."
        )
    else:
        message = (
            f"{first} is not a longitude and latitude in degrees. Coordinates of a map projection "
            "need their CRS: a crs member, a .prj file, or SRID=<EPSG code>; before the WKT."
        )
    raise AreaError(message)


def _leaves_map(polygons: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which polygons, including holes, exceed 180 degrees or have a long edge."""
    positions, owner = shapely.get_coordinates(polygons, return_index=True)
    lon = positions[:, 0]
    if not len(lon) or (np.abs(lon).max() <= _HALF_TURN and np.ptp(lon) <= _HALF_TURN):
        return np.zeros(len(polygons), dtype=bool)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    west, east = np.minimum.reduceat(lon, starts), np.maximum.reduceat(lon, starts)
    leaves: NDArray[np.bool_] = (west < -_HALF_TURN) | (east > _HALF_TURN)
    for i in np.flatnonzero(~leaves & (east - west > _HALF_TURN)):
        leaves[i] = _has_long_edge(polygons[i])
    return leaves


def _has_long_edge(polygon: BaseGeometry) -> bool:
    rings = map(shapely.get_coordinates, shapely.get_rings(polygon))
    return any((np.abs(np.diff(ring[:, 0])) > _HALF_TURN).any() for ring in rings)


def _valid(polygons: NDArray[np.object_]) -> tuple[NDArray[np.object_], int]:
    """Return the polygons, repaired if invalid, and the number of repairs."""
    invalid = ~shapely.is_valid(polygons)
    valid = polygons.copy()
    valid[invalid] = [_repaired(polygon) for polygon in polygons[invalid]]
    return valid, int(invalid.sum())


def _repaired(polygon: BaseGeometry) -> BaseGeometry:
    """Return the area with a non-zero winding number.

    The methods of shapely's `make_valid` turn areas with an even winding number into holes
    ("linework"), or lose clockwise parts ("structure").
    """
    # Split where they cross; on a grid, so that no face lies between edges drawn to and fro.
    lines = shapely.union_all(shapely.get_rings(polygon), grid_size=_NO_WIDTH)
    faces = shapely.get_parts(shapely.polygonize([lines]))
    if len(faces):
        rings = RingIndex(polygon)
        faces = faces[[rings.enclose(place) for place in shapely.point_on_surface(faces)]]
    return shapely.coverage_union_all(faces)


def _cut(polygon: BaseGeometry) -> NormalisedGeometry:
    """Cut a polygon, each of whose rings may have its own multiple of 360 degrees."""
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygon)]
    flat = np.array([shapely.Polygon(_unrolled(ring)) for ring in rings], dtype=np.object_)
    (shell, *holes), broken = _valid(flat)
    inside = _united(_wrapped(shell))
    if holes:
        cut_out = [part for hole in holes for part in _wrapped(hole)]
        inside = shapely.difference(inside, _united(cut_out))
    return NormalisedGeometry(inside, broken=int(broken > 0), crossing=_has_long_edge(polygon))


def _unrolled(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a ring with continuous longitudes: 179, -179 becomes 179, 181.

    A ring that goes round the Earth is closed along the nearer pole.
    """
    lon, lat = ring.T
    steps = np.diff(lon)
    turns = np.rint(steps / _TURN)
    unrolled = lon - _TURN * np.cumsum(np.append(0, turns))
    goes_round = bool(turns.sum())
    if not turns.any() or ((goes_round or np.ptp(unrolled) == 0) and _is_map_sheet(ring)):
        return ring
    if not goes_round:
        return np.column_stack([unrolled, lat])
    if lat.min() < 0 < lat.max():
        message = (
            "its outline goes round the Earth and crosses the equator, so the pole it encloses is "
            "ambiguous. Draw it as one polygon in the west and one in the east."
        )
        raise AreaError(message)
    pole = math.copysign(90, lat.mean())
    closing = [[unrolled[-1], pole], [unrolled[0], pole]]
    return np.vstack([np.column_stack([unrolled, lat]), closing])


def _is_map_sheet(ring: NDArray[np.float64]) -> bool:
    """Tell whether a ring is a strip of the world map, with edges at -180 and 180 degrees.

    Its edges of 360 degrees are circles of latitude; elsewhere such edges have no length.
    """
    lon, lat = ring.T
    steps, rises = np.diff(lon), np.diff(lat) != 0
    long = np.abs(steps) > _HALF_TURN
    circles = np.abs(steps[long]) == _TURN
    sides = lon[:-1][(steps == 0) & rises]
    return bool(circles.all() and not rises[long].any()) and {lon.min(), lon.max()} <= {*sides}


def _wrapped(polygon: BaseGeometry) -> list[BaseGeometry]:
    """Return the parts of a polygon, each moved between -180 and 180 degrees."""
    if polygon.is_empty:
        return []
    west, _, east, _ = polygon.bounds
    first = math.floor((west + _HALF_TURN) / _TURN)
    last = math.ceil((east - _HALF_TURN) / _TURN)
    parts: list[BaseGeometry] = []
    for lon in (_TURN * turn for turn in range(first, last + 1)):
        world = shapely.box(lon - _HALF_TURN, -90, lon + _HALF_TURN, 90)
        inside = shapely.intersection(polygon, world) if first < last else polygon
        moved = shapely.get_parts(shapely.transform(inside, lambda xy, lon=lon: xy - [lon, 0]))
        parts += list(moved[shapely.get_type_id(moved) == _POLYGON])  # others only touch the edge
    return parts


def _named_twice(points: NDArray[np.object_]) -> list[BaseGeometry]:
    """Return points between -180 and 180 degrees; those on the antimeridian at both longitudes."""
    lon, lat = shapely.get_coordinates(points).T
    within = lon - _TURN * np.rint(lon / _TURN)
    on_line = np.abs(within) == _HALF_TURN
    return [*shapely.points(within, lat), *shapely.points(-within[on_line], lat[on_line])]


def _united(shapes: Sequence[BaseGeometry]) -> BaseGeometry:
    """Return points, and polygons with a width, as one geometry."""
    parts = shapely.get_parts(np.array(shapes, dtype=np.object_))
    west, _, east, _ = shapely.bounds(parts).T
    kept = parts[(east - west > _NO_WIDTH) | (shapely.get_type_id(parts) == _POINT)]
    if len(kept) == 1:
        return cast("BaseGeometry", kept[0])
    return cast("BaseGeometry", shapely.disjoint_subset_union_all(kept))


def _without_long_edges(geometry: BaseGeometry) -> BaseGeometry:
    """Return the same shape with vertices added to edges longer than 180 degrees."""
    parts = shapely.get_parts(geometry)
    west, _, east, _ = shapely.bounds(parts).T
    wide = east - west > _HALF_TURN
    if not any(map(_has_long_edge, parts[wide])):
        return geometry
    return shapely.segmentize(geometry, _HALF_TURN)
