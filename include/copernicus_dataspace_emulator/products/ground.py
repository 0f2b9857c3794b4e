"""Geometry of footprints for searches; they are listed unchanged."""

from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape

_TURN = 360
_HALF_TURN = 180
_QUARTER = 90
_POLYGONS = ("Polygon", "MultiPolygon")


def is_polygon(footprint: Any) -> bool:
    """Tell whether a footprint is a GeoJSON polygon in degrees."""
    try:
        with np.errstate(invalid="ignore"):
            outline = shape(footprint)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
        return False
    positions = np.abs(shapely.get_coordinates(outline))
    in_degrees = len(positions) > 0 and bool((positions <= [_TURN, _QUARTER]).all())
    return outline.geom_type in _POLYGONS and in_degrees


def ground_of(footprint: dict[str, Any]) -> shapely.Geometry:
    """Return a footprint between -180 and 180 degrees; none spans half the Earth."""
    outline: shapely.Geometry = shape(footprint)
    west, _, east, _ = outline.bounds
    if east - west <= _HALF_TURN:
        return outline
    whole = shapely.make_valid(shapely.transform(outline, _eastward))
    world = shapely.box(-_HALF_TURN, -90, _HALF_TURN, 90)
    behind = shapely.transform(whole, lambda xy: xy - [_TURN, 0])
    parts = shapely.get_parts([shapely.intersection(part, world) for part in (behind, whole)])
    return shapely.multipolygons([part for part in parts if part.area])


def _eastward(xy: np.ndarray) -> np.ndarray:
    return np.column_stack([xy[:, 0] % _TURN, xy[:, 1]])
