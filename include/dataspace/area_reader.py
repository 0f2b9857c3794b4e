"""Knows how people write an area down: names, files, GeoJSON, WKT and corner numbers.

It hands the shapes on as they were drawn, in degrees; whether they make an area is not judged.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from dataspace.area_geojson import read_geojson, to_degrees
from dataspace.errors import AreaError
from dataspace.globe import MAX_LON

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shapely.geometry.base import BaseGeometry

MAX_FILE_BYTES: Final = 100_000_000
"""A larger file is no outline of an area any more, and would fill a worker's memory."""

_JSON_SUFFIXES: Final = (".geojson", ".json")
_SUFFIXES: Final = (*_JSON_SUFFIXES, ".gpkg", ".shp", ".kml", ".kmz", ".fgb", ".zip")
"""Only these are opened, so that an area cannot be used to probe other files."""

_WKT: Final = re.compile(
    r"(?:geography')?(?:SRID\s*=\s*(?P<srid>\d+)\s*;)?\s*"
    r"(?P<wkt>[A-Z]+(?:\s+[ZM]+)?(?:\s*\(|\s+EMPTY).*?)'?",
    re.DOTALL | re.IGNORECASE,
)
_WORD: Final = re.compile(r"(?![.~])[^/\\\0\n]{1,200}")
_FORMS: Final = "a name in the areas folder, GeoJSON, WKT, or west,south,east,north in degrees"
_CORNERS: Final = "write four numbers: west,south,east,north in degrees"


def read_shapes(source: str | Mapping[str, Any], folder: Path | None) -> list[BaseGeometry]:
    """Return the shapes of an area in degrees, longitude first, as they were drawn.

    Args:
        source: GeoJSON, WKT, four corner numbers, a path, or a plain name in the folder.
        folder: Where names are looked up; None if there are no named areas.

    Raises:
        AreaError: The text has no known form, names nothing, or is broken.
    """
    if not isinstance(source, str):
        return read_geojson(source)
    text = source.strip()
    if not text:
        message = f"it is empty; give {_FORMS}."
        raise AreaError(message)
    if text[0] in "{[":
        return _from_json(text)
    if (match := _WKT.fullmatch(text)) and not text.lower().endswith(_SUFFIXES):
        return _from_wkt(match["wkt"], match["srid"])
    if numbers := _numbers(text):
        return [_from_corners(numbers)]
    return _from_file(*_locate(text, folder))


def _numbers(text: str) -> list[float]:
    parts = [part.strip() for part in text.split(",")]
    numbers, others = [], []
    for part in parts:
        try:
            numbers.append(float(part))
        except ValueError:
            others.append(part)
    if len(parts) == 1 or not numbers:
        return []
    if others:
        message = f"{others[0]!r} is not a number; {_CORNERS}."
        raise AreaError(message)
    return numbers


def _from_corners(numbers: list[float]) -> BaseGeometry:
    if len(numbers) != 4 or not np.isfinite(numbers).all():  # noqa: PLR2004
        message = f"{len(numbers)} numbers, {numbers}, are no box; {_CORNERS}."
        raise AreaError(message)
    west, south, east, north = numbers
    if west == east or south >= north:
        fault = "west equals east" if west == east else "south is not below north"
        message = f"the box has no inside: {fault}; {_CORNERS}. For a place write POINT(lon lat)."
        raise AreaError(message)
    if max(map(abs, numbers)) > MAX_LON:
        return shapely.box(*numbers)  # refused by whoever checks the range of all shapes
    if west > east:
        east += 360 * math.ceil((west - east) / 360)
    if east - west > 360:  # noqa: PLR2004
        message = f"the box is {east - west:g} degrees wide, more than the Earth; {_CORNERS}."
        raise AreaError(message)
    # An edge of more than 180 degrees would be taken for one that goes round the other way.
    return shapely.segmentize(shapely.box(west, south, east, north), 180)


def _from_wkt(wkt: str, srid: str | None) -> list[BaseGeometry]:
    with np.errstate(invalid="ignore"):
        shape = shapely.from_wkt(wkt, on_invalid="fix")
    if shape is None:
        try:
            shapely.from_wkt(wkt)
        except shapely.errors.ShapelyError as error:
            message = f"the WKT cannot be read: {error}. Write POLYGON((lon lat, lon lat, ...))."
            raise AreaError(message) from error
    return to_degrees([shape], f"EPSG:{srid}" if srid else "")


def _from_json(text: str) -> list[BaseGeometry]:
    try:
        return read_geojson(json.loads(text))
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"the JSON is broken at {place}: {error.msg}. Correct it there."
        raise AreaError(message) from error
    except RecursionError as error:
        message = "the JSON is nested too deeply to be an area."
        raise AreaError(message) from error


def _locate(text: str, folder: Path | None) -> tuple[Path, str | None]:
    name, _, layer = text.rpartition(":")
    for candidate, wanted_layer in ((text, None), (name, layer)):
        if candidate and (path := _existing(candidate, folder)):
            return path, wanted_layer
    if not _WORD.fullmatch(text):
        message = f"there is no such file of a kind that can be read ({', '.join(_SUFFIXES)})."
        raise AreaError(message)
    files = folder.iterdir() if folder and folder.is_dir() else ()
    names = sorted({f.stem for f in files if f.suffix.lower() in _SUFFIXES and f.is_file()})
    message = f"no such name; there are: {', '.join(names) or 'none'}. Give {_FORMS}."
    raise AreaError(message)


def _existing(text: str, folder: Path | None) -> Path | None:
    candidates = [Path(text)]
    if folder and _WORD.fullmatch(text):
        named = [folder / text, *(folder / f"{text}{suffix}" for suffix in _SUFFIXES)]
        candidates = [*named, *candidates]
    for path in candidates:
        try:
            if path.suffix.lower() in _SUFFIXES and path.is_file():
                return path
        except (OSError, ValueError):  # too long for a name, or a NUL in it
            return None
    return None


def _from_file(path: Path, layer: str | None) -> list[BaseGeometry]:
    size_bytes = path.stat().st_size
    if not 0 < size_bytes <= MAX_FILE_BYTES:
        message = f"{path} has {size_bytes} bytes; 1 to {MAX_FILE_BYTES} are read. Simplify it."
        raise AreaError(message)
    try:
        if path.suffix.lower() in _JSON_SUFFIXES:
            return _from_json(path.read_text(encoding="utf-8-sig"))
        return list(_from_layers(path, layer))
    except (OSError, UnicodeDecodeError, RuntimeError) as error:  # pyogrio's are RuntimeErrors
        message = f"{path} cannot be read: {error}"
        raise AreaError(message) from error


def _from_layers(path: Path, wanted: str | None) -> Iterator[BaseGeometry]:
    import pyogrio  # noqa: PLC0415 - heavy, and most areas are GeoJSON

    # A table without a geometry column has None for the type.
    layers = [(i, name) for i, (name, kind) in enumerate(pyogrio.list_layers(path)) if kind]
    chosen = [i for i, name in layers if wanted in (None, name)]
    if not chosen:
        names = ", ".join(name for _, name in layers) or "none with shapes"
        message = f"{path} has no layer {wanted or 'with shapes'}; its layers are: {names}."
        raise AreaError(message)
    for i in chosen:
        frame = pyogrio.read_dataframe(path, layer=i, columns=[], force_2d=True, on_invalid="fix")
        crs = frame.crs.to_wkt() if frame.crs is not None else ""
        yield from to_degrees([shape for shape in frame.geometry if shape is not None], crs)
