"""Knows where a product's footprint lies; tolerates footprints that are no proper geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TURN: Final = 360.0
_HALF_TURN: Final = 180.0
_POLYGONS: Final = ("Polygon", "MultiPolygon")


def bounds(footprint: Mapping[str, Any] | None) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees; None where there is no usable polygon.

    West lies east of east where 180 degrees is crossed: no product spans half the Earth.
    """
    if not isinstance(footprint, Mapping) or footprint.get("type") not in _POLYGONS:
        return None
    try:
        places = list(_places(footprint.get("coordinates")))
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError):
        return None
    if not places or not all(math.isfinite(value) for place in places for value in place):
        return None
    longitudes, latitudes = [lon for lon, _ in places], [lat for _, lat in places]
    if max(longitudes) - min(longitudes) > _HALF_TURN:
        longitudes = [lon % _TURN for lon in longitudes]
    west, east = (_on_globe(edge) for edge in (min(longitudes), max(longitudes)))
    return west, min(latitudes), east, max(latitudes)


def middle(footprint: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """Return longitude and latitude of the middle of the bounds."""
    box = bounds(footprint)
    if box is None:
        return None
    west, south, east, north = box
    return _on_globe(west + (east - west) % _TURN / 2), (south + north) / 2


def covered(
    one: Mapping[str, Any] | None, others: Sequence[Mapping[str, Any] | None]
) -> float | None:
    """Return which part of a footprint others cover together, 0 to 1; None where one is unusable.

    Areas are measured in degrees, which does for footprints that lie side by side.
    """
    import shapely  # noqa: PLC0415 - slow to import, and needed where products compete only

    try:
        centre = _middle_lon(one)
        own = _polygon(one, centre, centre)
        beside = shapely.union_all(
            [_polygon(other, _middle_lon(other), centre) for other in others]
        )
        share = own.intersection(beside).area / own.area
    except (
        shapely.errors.ShapelyError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        ZeroDivisionError,
    ):
        return None
    return min(share, 1.0) if math.isfinite(share) else None


def _middle_lon(footprint: Mapping[str, Any] | None) -> float:
    place = middle(footprint)
    if place is None:
        message = "no usable polygon"
        raise ValueError(message)
    return place[0]


def _polygon(footprint: Mapping[str, Any] | None, middle_lon: float, beside_lon: float) -> Any:
    """Return a valid geometry in one piece round its middle, on the side of another longitude."""
    import shapely  # noqa: PLC0415 - as above
    from shapely.geometry import shape  # noqa: PLC0415

    away = _TURN * round((beside_lon - middle_lon) / _TURN)

    def together(xy: Any) -> Any:
        return xy + _TURN * (([middle_lon, 0.0] - xy) / _TURN).round() + [away, 0.0]

    flat = shapely.transform(shape(footprint), together)
    return shapely.make_valid(flat, method="structure", keep_collapsed=False)


def _places(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for part in coordinates:
        yield from _places(part)


def _on_globe(longitude: float) -> float:
    return longitude - _TURN if longitude > _HALF_TURN else longitude
