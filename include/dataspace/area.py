"""Knows what an area of interest is on the globe, and which footprints touch it.

Longitudes go round: shapes that cross 180 degrees or enclose a pole are cut there. The cutting is
done here, because the ``antimeridian`` package fails on holes and on rings that meet 180 degrees.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from dataspace.area_cover import cover
from dataspace.area_geojson import read_geojson
from dataspace.area_reader import read_shapes
from dataspace.errors import AreaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

MAX_SEARCH_CHARS: Final = 2500
"""URL-encoded length of all pieces; with the rest of a search the URL stays below 4 kB."""

_POINT, _POLYGON, _FIRST_MULTI = 0, 3, 4
"""Type numbers of shapely; those between point and polygon are lines."""

_NAME_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Area:
    """Polygons and points in degrees (EPSG:4326), longitude first, valid, none across 180.

    Attributes:
        geometry: The true area, as exact as it was given.
        name: What a person wrote, shortened, for messages and logs.
    """

    geometry: BaseGeometry
    name: str

    def __post_init__(self) -> None:
        shapely.prepare(self.geometry)

    @classmethod
    def parse(
        cls, text: str | Path | Mapping[str, Any] | Area, *, folder: Path | None = None
    ) -> Area:
        """Return the area that a person wrote down in one of the usual forms.

        The forms are: a name in the folder (``lake``, ``lake.gpkg``, ``lake:layer``), GeoJSON, WKT,
        and ``west,south,east,north`` in degrees, where west > east crosses 180. A program may give
        a `pathlib.Path`, too; no text is taken for a path. A warning is logged for each repair.

        Args:
            text: What the person wrote; GeoJSON may be parsed already.
            folder: Where names are looked up; None if there are no named areas.

        Raises:
            AreaError: It is empty, unknown, broken or has no area; the message says what to do.
        """
        if isinstance(text, Area):
            return text
        name = "GeoJSON" if isinstance(text, Mapping) else _shorten(str(text))
        try:
            geometry, repairs = _on_globe(read_shapes(text, folder))
        except AreaError as error:
            message = f"Area {name!r} cannot be used: {error}"
            raise AreaError(message) from error
        for repair in repairs:
            logger.warning("Area %r: %s", name, repair)
        return cls(geometry, name)

    def search_wkts(self, *, max_chars: int = MAX_SEARCH_CHARS) -> tuple[str, ...]:
        """Return WKT polygons and points that together cover the area, for the catalogue's URL.

        Nothing of the area is left out, but more may be inside: what is found must be filtered
        with `touches`. Each piece is valid as it is written, and none crosses 180 degrees.

        Args:
            max_chars: URL-encoded length of all pieces, the call round each included.
        """
        return cover(self.geometry, max_chars)

    def touches(self, footprint: BaseGeometry | Mapping[str, Any] | None) -> bool:
        """Tell whether a footprint and the true area share a point; True if it is unusable."""
        try:
            shape = [footprint] if isinstance(footprint, BaseGeometry) else read_geojson(footprint)
            geometry, _ = _on_globe(shape)
        except AreaError:
            return True
        return bool(shapely.intersects(self.geometry, geometry))


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME_CHARS else f"{line[:_NAME_CHARS]}..."


def _on_globe(shapes: Sequence[BaseGeometry]) -> tuple[BaseGeometry, list[str]]:
    parts = _parts(shapes)
    kinds = shapely.get_type_id(parts)
    points, polygons = parts[kinds == _POINT], parts[kinds == _POLYGON]
    lines = len(parts) - len(points) - len(polygons)
    if not len(parts):
        message = "it holds no shape; draw a polygon."
        raise AreaError(message)
    if lines and not len(polygons):
        message = f"it holds {lines} line(s) and no polygon; draw a polygon, or give points."
        raise AreaError(message)
    _check_degrees(shapely.get_coordinates(parts))
    repairs = [f"{lines} line(s) beside the polygons were left out."] if lines else []
    placed, broken, jumping = _placed(polygons)
    if broken:
        repairs.append(f"{broken} polygon(s) crossed or touched themselves and were repaired.")
    if jumping:
        repairs.append(
            f"{jumping} polygon(s) with an edge of more than 180 degrees were taken to cross 180."
        )
    geometries = [*placed, *shapely.transform(points, _wrapped_lon)]
    if not geometries:
        message = "its corners lie on one line and enclose nothing; draw a polygon."
        raise AreaError(message)
    return geometries[0] if len(geometries) == 1 else shapely.disjoint_subset_union_all(
        geometries
    ), repairs


def _parts(shapes: Sequence[BaseGeometry]) -> NDArray[np.object_]:
    """Return the single points, lines and polygons, flat, of nested collections."""
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
    wrong = (lat > 90) | (lon > 360)  # noqa: PLR2004
    if not wrong.any():
        return
    first = "({:.8g}, {:.8g})".format(*positions[wrong][0])
    if lon.max() <= 90 and lat.max() <= 360:  # noqa: PLR2004
        message = (
            f"{first} has a latitude beyond 90; latitude and longitude look swapped. "
            "Write longitude first."
        )
    else:
        message = (
            f"{first} is no longitude and latitude in degrees. Coordinates of a map projection "
            "need their CRS: a crs member, a .prj file, or SRID=<EPSG code>; before the WKT."
        )
    raise AreaError(message)


def _placed(polygons: NDArray[np.object_]) -> tuple[list[BaseGeometry], int, int]:
    """Return valid polygons from -180 to 180, how many were broken, and how many jump over 180."""
    west, _, east, _ = shapely.bounds(polygons).T
    turning = (west < -180) | (east > 180) | (east - west > 180)  # noqa: PLR2004
    invalid = ~shapely.is_valid(polygons) & ~turning
    placed = [*polygons[~turning & ~invalid], *_valid(polygons[invalid])]
    broken, jumping = int(invalid.sum()), 0
    for polygon in polygons[turning]:
        rings = shapely.get_rings(polygon)
        flat = np.array([shapely.Polygon(_unrolled(ring)) for ring in rings], dtype=np.object_)
        broken += not shapely.is_valid(flat).all()
        jumping += any(_jumps(shapely.get_coordinates(ring)) for ring in rings)
        shell, *holes = (shapely.disjoint_subset_union_all(_wrapped(ring)) for ring in _valid(flat))
        placed += _polygonal(shapely.difference(shell, shapely.disjoint_subset_union_all(holes)))
    return [polygon for polygon in placed if not polygon.is_empty], broken, jumping


def _valid(polygons: NDArray[np.object_]) -> Iterable[BaseGeometry]:
    # "structure" fills what a ring winds round twice, where "linework" makes a hole of it.
    return cast(
        "Iterable[BaseGeometry]",
        shapely.make_valid(polygons, method="structure", keep_collapsed=False),
    )


def _polygonal(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = shapely.get_parts(geometry)
    return list(parts[shapely.get_type_id(parts) == _POLYGON])


def _unrolled(ring: BaseGeometry) -> NDArray[np.float64]:
    """Return a ring without jumps: 179, -179 becomes 179, 181.

    A ring that goes once round the Earth is closed along its nearer pole. Edges of exactly 360
    degrees are the upper and lower edge of a map of the world, and stay.
    """
    positions: NDArray[np.float64] = shapely.get_coordinates(ring)
    if not _jumps(positions):
        return positions
    lon, lat = np.unwrap(positions[:, 0], period=360), positions[:, 1]
    if abs(lon[-1] - lon[0]) < 180:  # noqa: PLR2004
        lon[-1] = lon[0]
        return np.column_stack([lon, lat])
    if float(np.min(lat)) < 0 < float(np.max(lat)):
        message = (
            "its outline goes round the Earth and crosses the equator; it cannot be told which "
            "pole is inside. Draw it as one polygon in the west and one in the east."
        )
        raise AreaError(message)
    pole = math.copysign(90, lat.mean())
    return np.vstack([np.column_stack([lon, lat]), [[lon[-1], pole], [lon[0], pole]]])


def _jumps(positions: NDArray[np.float64]) -> bool:
    steps = np.abs(np.diff(positions[:, 0]))
    return bool(((steps > 180) & (steps != 360)).any())  # noqa: PLR2004


def _wrapped(polygon: BaseGeometry) -> list[BaseGeometry]:
    """Return the parts of a polygon of any longitudes, each moved between -180 and 180."""
    if polygon.is_empty:
        return []
    west, _, east, _ = polygon.bounds
    parts: list[BaseGeometry] = []
    for turn in range(math.floor((west + 180) / 360), math.ceil((east - 180) / 360) + 1):
        world = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        inside = shapely.intersection(polygon, world)
        moved = shapely.transform(inside, lambda xy, lon=360 * turn: xy - [lon, 0])
        parts += _polygonal(moved)
    return parts


def _wrapped_lon(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    lon = positions[:, 0]
    turns = np.where(lon > 180, -360, np.where(lon < -180, 360, 0))  # noqa: PLR2004
    return np.column_stack([lon + turns, positions[:, 1]])
