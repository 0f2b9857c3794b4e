"""Knows the extent of a product's footprint; tolerates footprints that are no proper geometry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TURN: Final = 360.0
_HALF_TURN: Final = 180.0
_POLYGONS: Final = ("Polygon", "MultiPolygon")


def bounds(footprint: Mapping[str, Any] | None) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees; None where there is no usable polygon.

    West lies east of east where 180 degrees is crossed: no product spans half the Earth.
    """
    if not footprint or footprint.get("type") not in _POLYGONS:
        return None
    try:
        places = list(_places(footprint.get("coordinates")))
    except (TypeError, ValueError, IndexError):
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


def _places(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], int | float):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for part in coordinates:
        yield from _places(part)


def _on_globe(longitude: float) -> float:
    return longitude - _TURN if longitude > _HALF_TURN else longitude
