"""Geometry of Sentinel-2 tiles: UTM zone, corner and footprint.

Tiles are the 100 km squares of MGRS, widened to 109.8 km and snapped to the 60 m grid.
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

try:
    import pyproj
except ModuleNotFoundError as error:
    message = 'the emulator needs pyproj: pip install "airflow-provider-copernicus[emulator]"'
    raise ModuleNotFoundError(message, name="pyproj") from error

TILE_M: Final = 109_800
_SQUARE_M: Final = 100_000
_GRID_M: Final = 60
_CYCLE_M: Final = 2_000_000
_SOUTH_M: Final = 10_000_000
_ROWS: Final = "ABCDEFGHJKLMNPQRSTUV"
_COLUMNS: Final = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")  # by zone modulo 3
_BANDS: Final = "CDEFGHJKLMNPQRSTUVWX"
_EVEN_ZONE_SHIFT: Final = 5
_ZONES: Final = 60


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's name without leading T, EPSG code and upper left corner in metres."""

    name: str
    epsg: int
    left: int
    top: int

    def to_lonlat(self, x: float, y: float) -> tuple[float, float]:
        """Longitude and latitude in degrees of a point in the tile's own metres."""
        lon, lat = _transformer(self.epsg).transform(x, y, direction="INVERSE")
        return float(lon), float(lat)

    def to_metres(self, lon: float, lat: float) -> tuple[float, float]:
        """The tile's own metres of a longitude and latitude in degrees."""
        x, y = _transformer(self.epsg).transform(lon, lat)
        return float(x), float(y)

    def footprint(self) -> dict[str, Any]:
        """The whole tile as a GeoJSON polygon, longitude before latitude."""
        right, bottom = self.left + TILE_M, self.top - TILE_M
        corners = [(self.left, self.top), (right, self.top), (right, bottom), (self.left, bottom)]
        ring = [list(self.to_lonlat(x, y)) for x, y in [*corners, corners[0]]]
        return {"type": "Polygon", "coordinates": [ring]}


@cache
def _transformer(epsg: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(4326, epsg, always_xy=True)


@cache
def tile(name: str) -> Tile:
    """The tile of an MGRS name, with or without the leading T.

    Raises:
        ValueError: There is no such tile.
    """
    match = re.fullmatch(rf"T?(\d\d)([{_BANDS}])([A-Z])([{_ROWS}])", name)
    if match is None:
        raise ValueError(f"Not an MGRS tile: {name!r}")
    zone, band, column, row = int(match[1]), match[2], match[3], match[4]
    easting = _COLUMNS[zone % 3].find(column) + 1
    if not 1 <= zone <= _ZONES or not easting:
        raise ValueError(f"Not an MGRS tile: {name!r}")
    north = band >= "N"
    epsg = (32600 if north else 32700) + zone
    shift = 0 if zone % 2 else _EVEN_ZONE_SHIFT
    in_cycle = (_ROWS.index(row) - shift) % len(_ROWS) * _SQUARE_M
    bottom = _northing(epsg, band, in_cycle)
    south_m = 0 if north else _SOUTH_M  # the grid is counted from the equator
    top = math.ceil((bottom + _SQUARE_M - south_m) / _GRID_M) * _GRID_M + south_m
    left = easting * _SQUARE_M // _GRID_M * _GRID_M
    return Tile(match[0].removeprefix("T"), epsg, left, top)


def _northing(epsg: int, band: str, in_cycle: int) -> int:
    """Lower edge of the square: the cycle of 2000 km that falls into the latitude band."""
    middle = -76 + 8 * _BANDS.index(band)
    lon = (epsg % 100 - 31) * 6 + 3
    _, y = _transformer(epsg).transform(lon, middle)
    cycles = round((float(y) - _SQUARE_M / 2 - in_cycle) / _CYCLE_M)
    return in_cycle + cycles * _CYCLE_M


def covering(lon: float, lat: float) -> list[str]:
    """Names of the tiles in the point's zone that contain it, that of its square first."""
    zone = int((lon + 180) // 6) % 60 + 1
    band = _BANDS[min(max(int((lat + 80) // 8), 0), len(_BANDS) - 1)]
    epsg = (32600 if band >= "N" else 32700) + zone
    x, y = _transformer(epsg).transform(lon, lat)
    shift = 0 if zone % 2 else _EVEN_ZONE_SHIFT
    found = []
    for across, up in ((0, 0), (-1, 0), (0, 1), (-1, 1)):
        column = int(x // _SQUARE_M) + across - 1
        row = (int(y // _SQUARE_M) + up + shift) % len(_ROWS)
        if not 0 <= column < len(_COLUMNS[0]):
            continue
        here = tile(f"{zone:02d}{band}{_COLUMNS[zone % 3][column]}{_ROWS[row]}")
        if 0 <= x - here.left <= TILE_M and 0 <= here.top - y <= TILE_M:
            found.append(here.name)
    return found
