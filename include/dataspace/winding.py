"""Tells what lies inside of rings that cross themselves: what they wind round, however often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry


def encloses(area: BaseGeometry, ground: BaseGeometry) -> bool:
    """Tell whether a part of some ground, which no edge of an area meets, lies inside of the area.

    Args:
        area: Polygons, valid or not; what a shell winds round and no hole does is inside.
        ground: Polygons.
    """
    places = [shapely.get_coordinates(part)[0] for part in shapely.get_parts(ground)]
    return any(_is_inside(one, place) for one in shapely.get_parts(area) for place in places)


def _is_inside(polygon: BaseGeometry, place: NDArray[np.float64]) -> bool:
    west, south, east, north = polygon.bounds
    if not (west <= place[0] <= east and south <= place[1] <= north):
        return False
    shell, *holes = map(shapely.get_coordinates, shapely.get_rings(polygon))
    return bool(_turns(shell, place)) and not any(_turns(hole, place) for hole in holes)


def _turns(ring: NDArray[np.float64], place: NDArray[np.float64]) -> int:
    """Return how often a ring winds round a place that is not on it."""
    lon, lat = (ring - place).T
    is_north = lat >= 0
    crossing = np.flatnonzero(is_north[1:] != is_north[:-1])
    x0, x1, y0, y1 = lon[crossing], lon[crossing + 1], lat[crossing], lat[crossing + 1]
    is_east = (x0 * y1 - x1 * y0) * np.where(y1 > y0, 1, -1) > 0
    return int(np.where(y1 > y0, 1, -1)[is_east].sum())
