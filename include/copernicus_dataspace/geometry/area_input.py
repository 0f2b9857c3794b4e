"""Reads areas in all input forms: names, files, GeoJSON, WKT and bounding boxes.

Returns the shapes in degrees, otherwise unchanged and not validated.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from copernicus_dataspace.errors import AreaError, MissingPackageError
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
    from collections.abc import Iterable, Iterator, Mapping

    from shapely.geometry.base import BaseGeometry

MAX_FILE_BYTES: Final = 100_000_000
"""Maximum file size; protects a worker's memory."""


def read_shapes(
    source: str | Path | Mapping[str, Any], folders: Iterable[Path]
) -> list[BaseGeometry]:
    """Return the shapes of an area in degrees, longitude first, otherwise unchanged.

    Args:
        source: GeoJSON, WKT, a bounding box, or a name in the folders; a `Path` is a file
            anywhere, which only programs can pass: strings are never paths.
        folders: Folders of named areas.

    Raises:
        AreaError: The input has no known form, is an unknown name, or is invalid. File contents
            are not repeated in messages.
        MissingPackageError: A package that reads the file or its CRS is not installed.
    """
    if isinstance(source, Path):
        return _from_file(source, None)
    if not isinstance(source, str):
        return read_geojson(source)
    named = named_file(source, folders)
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
        )  # refused later, with the range check of all shapes
    if west > east:
        east += 360 * math.ceil((west - east) / 360)
    if east - west > 360:  # noqa: PLR2004
        message = (
            f"the bounding box is {east - west:g} degrees wide, more than 360; make it narrower."
        )
        raise AreaError(message)
    # An edge longer than 180 degrees would be interpreted as the short way round.
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
    """Return the shapes of a file; errors and their causes do not repeat its content."""
    try:
        _check_file(path)
        if path.suffix.lower() in JSON_SUFFIXES:
            return read_geojson(parsed(path.read_text(encoding="utf-8-sig")))
        return list(_from_layers(path, layer))
    except (AreaError, MissingPackageError) as error:
        message = f"{path.name}: {error}"
        raise type(error)(message) from None
    except OSError as error:
        raise unread(path.name, error) from None
    except UnicodeDecodeError:
        message = f"{path.name} cannot be read: it is not UTF-8 text."
        raise AreaError(message) from None
    except (ValueError, ArithmeticError, NotImplementedError) as error:
        message = f"{path.name} cannot be used: its shapes are invalid ({type(error).__name__})."
        raise AreaError(message) from None


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        message = f"it is not a file of a supported format ({', '.join(SUFFIXES)})."
        raise AreaError(message)
    size_bytes = path.stat().st_size
    if not size_bytes:
        message = "it is empty (0 bytes). Save the area into it again."
        raise AreaError(message)
    if size_bytes > MAX_FILE_BYTES:
        message = f"it has {size_bytes} bytes, more than {MAX_FILE_BYTES}. Simplify it."
        raise AreaError(message)


def _from_layers(path: Path, wanted: str | None) -> Iterator[BaseGeometry]:
    MissingPackageError.check("pyogrio", "files", f"a file with the suffix {path.suffix}")
    found = read_layers(path, wanted)
    if found is None:
        path.read_bytes()  # raises if the disk has an error
        message = f"it cannot be read as {path.suffix}; export it again."
        raise AreaError(message)
    if not found["layers"]:
        names = ", ".join(found["names"]) or "none with shapes"
        message = f"it has no layer {wanted or 'with shapes'}; its layers are: {names}."
        raise AreaError(message)
    for layer in found["layers"]:
        yield from to_degrees([shapely.from_wkb(shape) for shape in layer["shapes"]], layer["crs"])
