"""An area of interest: parsing, simplification for searches, and intersection with footprints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import shapely

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.antimeridian import VAST, NormalisedGeometry, as_drawn, on_globe
from copernicus_dataspace.geometry.area_input import read_shapes
from copernicus_dataspace.geometry.footprint import polygons
from copernicus_dataspace.geometry.simplification import cover
from copernicus_dataspace.geometry.winding_number import RingIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

logger = logging.getLogger(__name__)

MAX_SEARCH_CHARS: Final = 2500
"""URL-encoded length of all parts; keeps the URL of a search below 4 kB."""

_NAME_CHARS: Final = 60
_PIXEL_DEG: Final = 1e-4
"""About ten metres, the smallest pixel."""
_NORTHERNMOST, _SOUTHERNMOST = 85, -81
"""MGRS tiles reach from 80 south to 84 north, plus their own size."""
_WORLD: Final = 360 * 180
_OF_POLYGONS: Final = 2
"""Dimension of geometries with rings, with or without points."""


@dataclass(frozen=True, slots=True)
class Area:
    """Polygons and points in degrees (EPSG:4326), longitude first, cut at 180 degrees.

    Attributes:
        geometry: The exact area; valid up to `antimeridian.VAST` vertices.
        name: The user's input, shortened, for messages and logs.
    """

    geometry: BaseGeometry
    name: str
    _rings: RingIndex | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shapely.prepare(self.geometry)
        is_vast = shapely.get_num_coordinates(self.geometry) > VAST
        has_rings = shapely.get_dimensions(self.geometry) == _OF_POLYGONS
        object.__setattr__(
            self, "_rings", RingIndex(self.geometry) if is_vast and has_rings else None
        )

    @classmethod
    def parse(
        cls, text: str | Path | Mapping[str, Any] | Area, *, folders: Iterable[Path] = ()
    ) -> Area:
        """Parse an area in one of the usual forms.

        The forms are: a name in a folder (``lake``, ``lake.gpkg``, ``lake:layer``), GeoJSON, WKT,
        and ``west,south,east,north`` in degrees, where west > east crosses 180. Programs may pass a
        `pathlib.Path`; strings are never paths. A warning is logged for each repair, and if the
        area looks unintended.

        Args:
            text: The input; GeoJSON may be parsed already.
            folders: Folders of named areas; for files of the same name, the first one counts.

        Raises:
            AreaError: It is empty, unknown, broken or has no area; the message says what to do.
            TransientError: Its file cannot be read because of a temporary error.
        """
        if isinstance(text, Area):
            return text
        name = "GeoJSON" if isinstance(text, Mapping) else _shorten(str(text))
        try:
            normalised = _normalised(read_shapes(text, folders))
        except AreaError as error:
            message = f"Area {name!r} cannot be used: {error}"
            raise AreaError(message) from error
        for words in (*_repairs(normalised), *_doubts(normalised.geometry)):
            logger.warning("Area %r: %s", name, words)
        return cls(normalised.geometry, name)

    @classmethod
    def of_geojson(cls, content: bytes, name: str) -> Area:
        """Return the area that `to_geojson` wrote, unchanged.

        Raises:
            ValueError: It is not GeoJSON, empty, or not in degrees.
        """
        try:
            geometry = shapely.from_geojson(content)
        except shapely.GEOSException as error:
            raise ValueError(str(error)) from error
        west, south, east, north = geometry.bounds  # NaN if it is empty
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):  # noqa: PLR2004
            message = "it is empty, or not in degrees"
            raise ValueError(message)
        return cls(geometry, _shorten(name))

    def to_geojson(self) -> bytes:
        """Return the exact area as a GeoJSON geometry."""
        return bytes(shapely.to_geojson(self.geometry), "ascii")

    def search_wkts(self, *, max_chars: int = MAX_SEARCH_CHARS) -> tuple[str, ...]:
        """Return WKT polygons and points that together cover the area, for the catalogue's URL.

        They may be larger than the area: filter the results with `touches`. Each part is valid,
        and none crosses 180 degrees.

        Args:
            max_chars: Maximum URL-encoded length of all parts, including the function calls.
        """
        return cover(self.geometry, max_chars)

    def touches(self, footprint: BaseGeometry | Mapping[str, Any] | None) -> bool:
        """Tell whether a footprint intersects the exact area; True if it is unusable."""
        ground = polygons(footprint)
        if ground is None or shapely.intersects(self.geometry, ground):
            return True
        # For shapely, areas with an even winding number are not inside.
        return self._rings is not None and self._rings.enclose(ground)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME_CHARS else f"{line[:_NAME_CHARS]}..."


def _normalised(shapes: Sequence[BaseGeometry]) -> NormalisedGeometry:
    drawn = as_drawn(shapes)
    normalised = on_globe(shapes) if drawn is None else NormalisedGeometry(drawn)
    if normalised.geometry.is_empty:
        message = "its vertices lie on one line and enclose no area; draw a polygon."
        raise AreaError(message)
    return normalised


def _repairs(normalised: NormalisedGeometry) -> list[str]:
    changes = (
        (normalised.lines, "line(s) beside the polygons were ignored."),
        (normalised.broken, "polygon(s) crossed or touched themselves and were repaired."),
        (
            normalised.crossing,
            "polygon(s) with an edge of more than 180 degrees are assumed to cross 180.",
        ),
    )
    return [f"{count} {what}" for count, what in changes if count]


def _doubts(ground: BaseGeometry) -> Iterator[str]:
    """Yield reasons why a valid area may be unintended."""
    west, south, east, north = ground.bounds
    if 0 < max(east - west, north - south) < _PIXEL_DEG:
        yield "it is smaller than 10 m; are its coordinates in degrees?"
    if south > _NORTHERNMOST or north < _SOUTHERNMOST:
        yield "no Sentinel-2 tile lies that close to a pole; are latitude and longitude swapped?"
    if ground.area > _WORLD / 2:
        yield f"it covers {ground.area / _WORLD:.0%} of the world map; is that intended?"
