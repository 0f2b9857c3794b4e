"""Simplifies an area to WKT of limited length that always covers it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_CALL_CHARS: Final = 85
"""URL-encoded length of the catalogue's function call per part, with the operator."""

_DECIMALS: Final = 7
"""About a centimetre; the maximum precision."""

_FINEST_DEG: Final = 1e-4
"""About ten metres, a pixel: a more exact outline does not reduce the results."""

_ROUGH_VERTICES: Final = 3_000
"""More vertices are simplified first, for speed; at most some hundred remain in the end."""

MANY_VERTICES: Final = 20_000
"""More vertices are too slow even for that; they are replaced by convex hulls first."""
_STRETCHES: Final = 1_000
"""Number of these convex hulls."""

_WORLD: Final = shapely.box(-180, -90, 180, 90)


@lru_cache(maxsize=4)
@np.errstate(divide="ignore", invalid="ignore")  # vertices where an edge reverses
def cover(area: BaseGeometry, max_chars: int) -> tuple[str, ...]:
    """Return WKT of polygons and points that cover the area and fit into a URL.

    The area itself is returned if it fits. Otherwise it is simplified, or adjacent parts are merged
    into convex hulls, whichever has the smaller area. Holes are filled.

    Args:
        area: Polygons and points between -180 and 180 degrees; valid unless it has very many
            vertices.
        max_chars: Maximum URL-encoded length of all parts, including the function calls.

    Raises:
        ValueError: Not even the coarsest outline fits.
    """
    if shapely.get_num_coordinates(area) > MANY_VERTICES:
        area = _hulled(area)
    if shapely.get_num_coordinates(area) < max_chars and (
        exact := _first_fit(_exact(area), area, max_chars)
    ):
        return exact
    rough = _roughened(area)
    candidates = (_first_fit(way(rough), area, max_chars) for way in (_traced, _grouped))
    fitting = [pieces for pieces in candidates if pieces]
    if not fitting:
        message = f"max_chars {max_chars} is too few for any outline."
        raise ValueError(message)
    return min(fitting, key=lambda pieces: _read(pieces).area)


def _first_fit(
    outlines: Iterator[BaseGeometry], area: BaseGeometry, max_chars: int
) -> tuple[str, ...] | None:
    """Return the first outline that fits, is valid and covers the area after rounding."""
    for outline in outlines:
        if shapely.get_num_geometries(outline) * _CALL_CHARS > max_chars:
            continue
        pieces = tuple(map(_write, shapely.get_parts(outline)))
        if sum(len(quote(piece, safe="")) + _CALL_CHARS for piece in pieces) > max_chars:
            continue
        covering = _read(pieces)
        shapely.prepare(covering)
        valid = all(shapely.is_valid(shapely.from_wkt(piece)) for piece in pieces)
        if valid and shapely.covers(covering, area):
            return pieces
    return None


def _exact(area: BaseGeometry) -> Iterator[BaseGeometry]:
    for slack in (0, 3 * 10**-_DECIMALS):  # the second in case rounding cuts something off
        yield _filled(_rounded(_widened(area, slack), _DECIMALS))


def _roughened(area: BaseGeometry) -> BaseGeometry:
    """Return the area, or an outline with fewer vertices."""
    tolerance = max(_FINEST_DEG, shapely.length(area) / _ROUGH_VERTICES / 32)
    while shapely.get_num_coordinates(area) > _ROUGH_VERTICES:
        area = _filled(_widened(_thinned(area, tolerance), tolerance))
        tolerance *= 4
    return area


def _hulled(area: BaseGeometry) -> BaseGeometry:
    """Return an outline of an area with very many vertices, in linear time.

    Each ring is divided into stretches of consecutive edges. Their convex hulls cover the ring, and
    so, with the enclosed area, its inside, even if the ring crosses itself.
    """
    parts = shapely.get_parts(area)
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    rings = shapely.get_exterior_ring(parts[is_polygon])
    if not len(rings):
        return area
    hulls = shapely.convex_hull(_stretches(*shapely.get_coordinates(rings, return_index=True)))
    # Adjacent hulls share only a vertex, and may be as thin as a line.
    few = shapely.simplify(hulls, _FINEST_DEG / 8)
    wide = shapely.buffer(few, _FINEST_DEG / 4, cap_style="square", join_style="mitre")
    borders = shapely.intersection(shapely.disjoint_subset_union_all(wide), _WORLD)
    return _filled(shapely.geometrycollections([*shapely.get_parts(borders), *parts[~is_polygon]]))


def _stretches(positions: NDArray[np.float64], ring: NDArray[np.int64]) -> NDArray[np.object_]:
    """Divide rings into lines of limited length and number of edges.

    Args:
        positions: Vertices of all rings.
        ring: Ring index of each vertex.
    """
    is_edge = np.diff(ring) == 0
    edges = np.hstack([positions[:-1], positions[1:]])[is_edge]
    length = np.hypot(edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1])
    share = np.cumsum(1 / len(length) + length / length.sum()) / 2
    number = np.column_stack([ring[1:][is_edge], np.floor(share * _STRETCHES)])
    stretch = np.cumsum(np.any(np.diff(number, axis=0, prepend=number[:1]), axis=1))
    lines: NDArray[np.object_] = shapely.linestrings(
        edges.reshape(-1, 2), indices=np.repeat(stretch, 2)
    )
    return lines


def _traced(area: BaseGeometry) -> Iterator[BaseGeometry]:
    for tolerance in _scales():
        yield _outline(area, tolerance)


def _grouped(area: BaseGeometry) -> Iterator[BaseGeometry]:
    hulls = shapely.convex_hull(shapely.get_parts(area))
    for gap in _scales():
        hulls = _merged(hulls, gap)
        yield _outline(shapely.geometrycollections(hulls), gap / 16)


def _scales() -> Iterator[float]:
    """Yield increasing distances in degrees, from some metres to the whole Earth."""
    scale = _FINEST_DEG
    while scale < 360:  # noqa: PLR2004
        yield scale
        scale *= 1.4


def _merged(hulls: NDArray[np.object_], gap: float) -> NDArray[np.object_]:
    """Merge hulls that are closer than the gap into convex hulls."""
    near = shapely.disjoint_subset_union_all(shapely.buffer(hulls, gap / 2, quad_segs=2))
    groups = shapely.get_parts(near)
    members, labels = shapely.STRtree(groups).query(shapely.centroid(hulls), "intersects")
    order = np.argsort(labels, kind="stable")
    collected = shapely.geometrycollections(hulls[members[order]], indices=labels[order])
    merged: NDArray[np.object_] = shapely.convex_hull(collected)
    return merged


def _outline(geometry: BaseGeometry, tolerance: float) -> BaseGeometry:
    """Return an outline with fewer vertices that covers the geometry.

    Simplification moves no line by more than the tolerance; so the outline is buffered by that, and
    by the rounding error.
    """
    decimals = min(_DECIMALS, max(0, math.ceil(math.log10(8 / tolerance))))
    slack = tolerance + 10**-decimals
    return _filled(_rounded(_widened(_thinned(geometry, tolerance), slack), decimals))


def _thinned(geometry: BaseGeometry, tolerance: float) -> BaseGeometry:
    # Part by part: together, shapely prevents overlaps of thousands of parts, which takes minutes.
    parts = shapely.simplify(shapely.get_parts(geometry), tolerance)
    return shapely.geometrycollections(parts)


def _widened(geometry: BaseGeometry, slack: float) -> BaseGeometry:
    if not slack:
        return geometry
    parts = shapely.get_parts(geometry)
    # Mitred corners keep the number of vertices; square caps turn points into boxes.
    wide = shapely.buffer(parts, slack, cap_style="square", join_style="mitre", mitre_limit=2)
    return shapely.intersection(shapely.disjoint_subset_union_all(wide), _WORLD)


def _rounded(geometry: BaseGeometry, decimals: int) -> BaseGeometry:
    return shapely.set_precision(geometry, 10**-decimals)


def _filled(geometry: BaseGeometry) -> BaseGeometry:
    parts = shapely.get_parts(geometry)
    is_polygon = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    shells = shapely.polygons(shapely.get_exterior_ring(parts[is_polygon]))
    filled = shapely.disjoint_subset_union_all(
        [*shells, *parts[~is_polygon]]
    )  # drops parts inside filled holes
    return shapely.orient_polygons(filled)


def _read(pieces: tuple[str, ...]) -> BaseGeometry:
    return shapely.disjoint_subset_union_all([shapely.from_wkt(piece) for piece in pieces])


def _write(piece: Any) -> str:
    positions = ",".join(
        f"{_number(lon)} {_number(lat)}" for lon, lat in shapely.get_coordinates(piece)
    )
    return f"POINT({positions})" if piece.geom_type == "Point" else f"POLYGON(({positions}))"


def _number(degrees: float) -> str:
    text = f"{degrees:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
