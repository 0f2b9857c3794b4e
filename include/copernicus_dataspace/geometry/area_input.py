"""Knows how people write an area down: names, files, GeoJSON, WKT and corner numbers.

It hands the shapes on as they were drawn, in degrees; whether they make an area is not judged.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from copernicus_dataspace.errors import AreaError
from copernicus_dataspace.geometry.antimeridian import MAX_LON
from copernicus_dataspace.geometry.area_files import (
    JSON_SUFFIXES,
    SUFFIXES,
    WKT,
    corners,
    is_corners,
    named_file,
    parsed,
    unread,
)
from copernicus_dataspace.geometry.geojson import read_geojson, to_degrees
from copernicus_dataspace.geometry.vector_files import read_layers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shapely.geometry.base import BaseGeometry

MAX_FILE_BYTES: Final = 100_000_000
"""A larger file is no outline of an area any more, and would fill a worker's memory."""


def read_shapes(source: str | Path | Mapping[str, Any], folder: Path | None) -> list[BaseGeometry]:
    """Return the shapes of an area in degrees, longitude first, as they were drawn.

    Args:
        source: GeoJSON, WKT, four corner numbers, or a plain name in the folder; a `Path` is a
            file anywhere, which only a program can ask for: no text is taken for one.
        folder: Where names are looked up; None if there are no named areas.

    Raises:
        AreaError: The text has no known form, names nothing, or is broken. What is in a file is
            not repeated.
    """
    if isinstance(source, Path):
        return _from_file(source, None)
    if not isinstance(source, str):
        return read_geojson(source)
    named = named_file(source, folder)
    if named:
        return _from_file(*named)
    text = source.strip()
    if text[0] in "{[":
        return read_geojson(parsed(text))
    if is_corners(text):
        return [_from_corners(*corners(text))]
    match = WKT.fullmatch(text)
    assert match is not None, "named_file knows no other form"  # noqa: S101
    return _from_wkt(match["wkt"], match["srid"])


def _from_corners(west: float, south: float, east: float, north: float) -> BaseGeometry:
    if max(map(abs, (west, south, east, north))) > MAX_LON:
        return shapely.box(
            west, south, east, north
        )  # refused by whoever checks the range of all shapes
    if west > east:
        east += 360 * math.ceil((west - east) / 360)
    if east - west > 360:  # noqa: PLR2004
        message = f"the box is {east - west:g} degrees wide, more than the Earth; narrow it."
        raise AreaError(message)
    # An edge of more than 180 degrees would be taken for one that goes round the other way.
    return shapely.segmentize(shapely.box(west, south, east, north), 180)


def _from_wkt(wkt: str, srid: str | None) -> list[BaseGeometry]:
    try:
        with np.errstate(invalid="ignore"):
            shape = shapely.from_wkt(wkt, on_invalid="fix") or shapely.from_wkt(wkt)
    except NotImplementedError as error:
        message = "the WKT cannot be read: it has curves. Write POLYGON((lon lat, lon lat, ...))."
        raise AreaError(message) from error
    except shapely.errors.ShapelyError as error:
        why = str(error).removeprefix("ParseException: ")
        message = f"the WKT cannot be read: {why}. Write POLYGON((lon lat, lon lat, ...))."
        raise AreaError(message) from error
    return to_degrees([shape], f"EPSG:{srid}" if srid else "")


def _from_file(path: Path, layer: str | None) -> list[BaseGeometry]:
    """Return the shapes of a file; no error, and no cause of one, repeats what is in it."""
    try:
        _check_file(path)
        if path.suffix.lower() in JSON_SUFFIXES:
            return read_geojson(parsed(path.read_text(encoding="utf-8-sig")))
        return list(_from_layers(path, layer))
    except AreaError as error:
        message = f"{path.name}: {error}"
        raise AreaError(message) from None
    except OSError as error:
        raise unread(path.name, error) from None
    except UnicodeDecodeError:
        message = f"{path.name} cannot be read: it is no UTF-8 text."
        raise AreaError(message) from None
    except (ValueError, ArithmeticError, NotImplementedError) as error:
        message = f"{path.name} cannot be used: its shapes end in {type(error).__name__}."
        raise AreaError(message) from None


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        message = f"it is no file of a kind that can be read ({', '.join(SUFFIXES)})."
        raise AreaError(message)
    size_bytes = path.stat().st_size
    if not size_bytes:
        message = "it has 0 bytes: it is empty. Save the area into it again."
        raise AreaError(message)
    if size_bytes > MAX_FILE_BYTES:
        message = f"it has {size_bytes} bytes; 1 to {MAX_FILE_BYTES} are read. Simplify it."
        raise AreaError(message)


def _from_layers(path: Path, wanted: str | None) -> Iterator[BaseGeometry]:
    found = read_layers(path, wanted)
    if found is None:
        path.read_bytes()  # says whether it is the disk's fault
        message = f"it cannot be read as what its suffix {path.suffix} says; write it anew."
        raise AreaError(message)
    if not found["layers"]:
        names = ", ".join(found["names"]) or "none with shapes"
        message = f"it has no layer {wanted or 'with shapes'}; its layers are: {names}."
        raise AreaError(message)
    for layer in found["layers"]:
        yield from to_degrees([shapely.from_wkb(shape) for shape in layer["shapes"]], layer["crs"])
