"""Footprints of products: normalised, as GeoJSON, their bounds and overlap.

Invalid footprints count as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.errors import AreaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shapely.geometry.base import BaseGeometry

_TURN: Final = 360.0
_HALF_TURN: Final = 180.0
_POLYGONS: Final = ("Polygon", "MultiPolygon")


def polygons(footprint: BaseGeometry | Mapping[str, Any] | None) -> BaseGeometry | None:
    """Return a footprint as valid polygons from -180 to 180 degrees; None if it is unusable.

    Args:
        footprint: Usually GeoJSON, but the catalogue may list anything.
    """
    ground = _ground(footprint)
    return None if ground is None or ground.is_empty else ground


def geojson(footprint: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a footprint as RFC 7946 GeoJSON: cut at 180 degrees, right-hand rule."""
    import shapely  # noqa: PLC0415 - slow to import
    from shapely.geometry import mapping  # noqa: PLC0415

    ground = polygons(footprint)
    return None if ground is None else dict(mapping(shapely.orient_polygons(ground)))


def bounds(
    footprint: BaseGeometry | Mapping[str, Any] | None,
) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees; None if the footprint is unusable.

    West > east if 180 degrees is crossed. All longitudes are from -180 to 180.
    """
    ground = polygons(footprint)
    if ground is None:
        return None
    west, south, east, north = ground.bounds
    if ground.geom_type == "MultiPolygon":
        west, east = span(part.bounds[::2] for part in ground.geoms)
    return west, south, east, north


def span(intervals: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Return west and east of the narrowest interval that contains some intervals, in degrees.

    An interval reaches from west eastward to east, so it crosses 180 if west > east.
    """
    within: list[tuple[float, float]] = []
    for west, east in intervals:
        crosses = west > east
        within += [(west, _HALF_TURN), (-_HALF_TURN, east)] if crosses else [(west, east)]
    (first, reach), *others = sorted(within)
    gap, beside = 0.0, (first, reach)
    for west, east in others:
        if west - reach > gap:
            gap, beside = west - reach, (west, reach)
        reach = max(reach, east)
    return (first, reach) if first + _TURN - reach >= gap else beside


def middle(
    footprint: BaseGeometry | Mapping[str, Any] | None,
) -> tuple[float, float] | None:
    """Return longitude and latitude of the centre of the bounds."""
    box = bounds(footprint)
    if box is None:
        return None
    west, south, east, north = box
    lon = (west + east + _TURN * (west > east)) / 2
    return lon - _TURN * (lon > _HALF_TURN), (south + north) / 2


def covered(
    one: Mapping[str, Any] | None, others: Sequence[Mapping[str, Any] | None]
) -> float | None:
    """Return the fraction of a footprint that others cover together; None if one is unusable.

    Areas are computed in degrees, which is sufficient for adjacent footprints.
    """
    import shapely  # noqa: PLC0415 - as above

    own, beside = polygons(one), [_ground(other) for other in others]
    if own is None or None in beside:
        return None
    share = shapely.intersection(own, shapely.union_all(beside)).area / own.area
    return min(float(share), 1.0)


def _ground(footprint: BaseGeometry | Mapping[str, Any] | None) -> BaseGeometry | None:
    """Return a normalised footprint, empty if it has no width; None if it is unusable."""
    from shapely.geometry.base import BaseGeometry  # noqa: PLC0415 - as above

    from copernicus_dataspace.geometry.antimeridian import on_globe  # noqa: PLC0415 - as above
    from copernicus_dataspace.geometry.geojson import read_geojson  # noqa: PLC0415 - imports shapely

    is_shape = isinstance(footprint, BaseGeometry)
    try:
        ground = on_globe([footprint] if is_shape else read_geojson(footprint)).geometry
    except AreaError:
        return None
    return ground if ground.is_empty or ground.geom_type in _POLYGONS else None
