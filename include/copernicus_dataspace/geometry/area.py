"""Knows what an area of interest is, and which footprints touch it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import shapely

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.antimeridian import VAST, Placed, as_drawn, on_globe
from copernicus_dataspace.geometry.area_input import read_shapes
from copernicus_dataspace.geometry.footprint import polygons
from copernicus_dataspace.geometry.simplification import cover
from copernicus_dataspace.geometry.winding_number import Rings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

logger = logging.getLogger(__name__)

MAX_SEARCH_CHARS: Final = 2500
"""URL-encoded length of all pieces; with the rest of a search the URL stays below 4 kB."""

_NAME_CHARS: Final = 60
_PIXEL_DEG: Final = 1e-4
"""Some ten metres, the finest pixel."""
_NORTHERNMOST, _SOUTHERNMOST = 85, -81
"""Tiles of MGRS reach from 80 south to 84 north, and by their own size beyond."""
_WORLD: Final = 360 * 180
_OF_POLYGONS: Final = 2
"""Dimensions of what has rings, be there points beside it."""


@dataclass(frozen=True, slots=True)
class Area:
    """Polygons and points in degrees (EPSG:4326), longitude first, none across 180.

    Attributes:
        geometry: The true area, as exact as it was given; valid up to `globe.VAST` corners.
        name: What a person wrote, shortened, for messages and logs.
    """

    geometry: BaseGeometry
    name: str
    _rings: Rings | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shapely.prepare(self.geometry)
        is_vast = shapely.get_num_coordinates(self.geometry) > VAST
        has_rings = shapely.get_dimensions(self.geometry) == _OF_POLYGONS
        object.__setattr__(self, "_rings", Rings(self.geometry) if is_vast and has_rings else None)

    @classmethod
    def parse(
        cls, text: str | Path | Mapping[str, Any] | Area, *, folder: Path | None = None
    ) -> Area:
        """Return the area that a person wrote down in one of the usual forms.

        The forms are: a name in the folder (``lake``, ``lake.gpkg``, ``lake:layer``), GeoJSON, WKT,
        and ``west,south,east,north`` in degrees, where west > east crosses 180. A program may give
        a `pathlib.Path`, too; no text is taken for a path. A warning is logged for each repair, and
        where the area is hardly the one that was meant.

        Args:
            text: What the person wrote; GeoJSON may be parsed already.
            folder: Where names are looked up; None if there are no named areas.

        Raises:
            AreaError: It is empty, unknown, broken or has no area; the message says what to do.
            TransientError: Its file cannot be read now, for a fault that may pass.
        """
        if isinstance(text, Area):
            return text
        name = "GeoJSON" if isinstance(text, Mapping) else _shorten(str(text))
        try:
            placed = _placed(read_shapes(text, folder))
        except AreaError as error:
            message = f"Area {name!r} cannot be used: {error}"
            raise AreaError(message) from error
        for words in (*_repairs(placed), *_doubts(placed.geometry)):
            logger.warning("Area %r: %s", name, words)
        return cls(placed.geometry, name)

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
        ground = polygons(footprint)
        if ground is None or shapely.intersects(self.geometry, ground):
            return True
        # What edges that cross themselves wind round twice is not inside, for shapely.
        return self._rings is not None and self._rings.enclose(ground)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME_CHARS else f"{line[:_NAME_CHARS]}..."


def _placed(shapes: Sequence[BaseGeometry]) -> Placed:
    drawn = as_drawn(shapes)
    placed = on_globe(shapes) if drawn is None else Placed(drawn)
    if placed.geometry.is_empty:
        message = "its corners lie on one line and enclose nothing; draw a polygon."
        raise AreaError(message)
    return placed


def _repairs(placed: Placed) -> list[str]:
    told = (
        (placed.lines, "line(s) beside the polygons were left out."),
        (placed.broken, "polygon(s) crossed or touched themselves and were repaired."),
        (
            placed.crossing,
            "polygon(s) with an edge of more than 180 degrees were taken to cross 180.",
        ),
    )
    return [f"{count} {what}" for count, what in told if count]


def _doubts(ground: BaseGeometry) -> Iterator[str]:
    """Give what makes an area that can be used hardly the one that was meant."""
    west, south, east, north = ground.bounds
    if 0 < max(east - west, north - south) < _PIXEL_DEG:
        yield "it is less than 10 m across; are its coordinates in degrees?"
    if south > _NORTHERNMOST or north < _SOUTHERNMOST:
        yield "no tile of Sentinel-2 lies so near to a pole; are latitude and longitude swapped?"
    if ground.area > _WORLD / 2:
        yield f"it covers {ground.area / _WORLD:.0%} of the map of the Earth; is all of that meant?"
