"""Reads GeoJSON, and transforms coordinates to degrees.

Messages give the position of an error but not the content, which may come from a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from copernicus_dataspace.errors import AreaError, MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

_CODE: Final = re.compile(r"[A-Za-z]{1,8}:\d{1,8}")
_DECLARED: Final = re.compile(r"(urn:ogc:def:crs:)?[A-Za-z]{1,10}:[\w.:]{1,40}")
"""Names of a CRS; other notations may refer to files."""
_EDGE_M: Final = 10_000
"""A straight edge of this length in a map projection deviates by some metres in degrees."""

_MAX_ADDED_VERTICES: Final = 100_000

_NO_POSITION: Final = "a position is not two numbers"
_MOST_DEGREES: Final = 360
_MAX_COORDINATE: Final = 1e9
"""Larger than the Earth in metres and in feet."""


def read_geojson(node: object) -> list[BaseGeometry]:
    """Return the shapes of a GeoJSON object, transformed to degrees from the CRS it declares.

    Raises:
        AreaError: It is not valid GeoJSON, or its CRS is unknown; the message says where.
    """
    by_crs: dict[str, list[BaseGeometry]] = {}
    try:
        for crs, shape in _walk(node, "GeoJSON", ""):
            by_crs.setdefault(crs, []).append(shape)
    except RecursionError as error:
        message = "the GeoJSON is nested too deeply; give one geometry or FeatureCollection."
        raise AreaError(message) from error
    return [shape for crs, shapes in by_crs.items() for shape in to_degrees(shapes, crs)]


def to_degrees(shapes: list[BaseGeometry], crs_text: str) -> list[BaseGeometry]:
    """Return the shapes in degrees, longitude first; unchanged if no CRS is given.

    Raises:
        AreaError: The CRS is unknown, or the coordinates are outside of its domain.
        MissingPackageError: pyproj is not installed.
    """
    if not crs_text:
        return shapes
    MissingPackageError.check("pyproj", "files", "an area with a declared CRS")
    import pyproj  # noqa: PLC0415 - reads its database; most areas are already in degrees

    try:
        crs = pyproj.CRS.from_user_input(crs_text)
        if crs.to_authority(min_confidence=20) in {("EPSG", "4326"), ("OGC", "CRS84")}:
            return shapes
        degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError as error:
        named = f" {crs_text}" if _CODE.fullmatch(crs_text) else ""
        message = f"its CRS{named} is unknown. Convert it to EPSG:4326."
        raise AreaError(message) from error
    flat = shapely.force_2d(shapes)
    misfit = "its coordinates do not fit its CRS; correct one of them."
    if not (np.abs(shapely.get_coordinates(flat)) < _MAX_COORDINATE).all():
        raise AreaError(misfit)
    if crs.is_projected:
        metres = crs.axis_info[0].unit_conversion_factor
        _refuse_degrees(flat, metres, crs_text)
        edge = _EDGE_M / metres
        length = float(shapely.length(flat).sum())
        flat = shapely.segmentize(flat, max(edge, length / _MAX_ADDED_VERTICES))
    moved = list(shapely.transform(flat, lambda xy: np.column_stack(degrees.transform(*xy.T))))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise AreaError(misfit)
    return moved


def _refuse_degrees(shapes: Sequence[BaseGeometry], metres: float, crs_text: str) -> None:
    """Refuse shapes within some hundred metres of a projection's origin: they are in degrees.

    Args:
        shapes: In the units of the projection.
        metres: Length of the projection's unit.
        crs_text: Name of the projection.
    """
    x, y = np.abs(shapely.get_coordinates(shapes)).T * metres
    if x.size and x.max() <= _MOST_DEGREES and y.max() <= _MOST_DEGREES:
        named = f" {crs_text}" if _CODE.fullmatch(crs_text) else ""
        message = (
            f"its coordinates look like degrees, but its CRS{named} is in metres. Declare "
            "EPSG:4326 or no CRS, or write the coordinates in metres."
        )
        raise AreaError(message)


def _walk(node: object, where: str, crs: str) -> Iterator[tuple[str, BaseGeometry]]:
    if not isinstance(node, Mapping) or not isinstance(node.get("type"), str):
        message = f"{where} is not a GeoJSON object with a type."
        raise AreaError(message)
    kind, crs = node["type"], _declared_crs(node, crs)
    if kind == "Feature":
        if node.get("geometry") is not None:
            yield from _walk(node["geometry"], f"{where}.geometry", crs)
    elif kind in _CHILDREN:
        children = node.get(_CHILDREN[kind])
        if not isinstance(children, list | tuple):
            message = f"{where} is a {kind} without a list of {_CHILDREN[kind]}."
            raise AreaError(message)
        for i, child in enumerate(children):
            yield from _walk(child, f"{where}.{_CHILDREN[kind]}[{i}]", crs)
    else:
        yield crs, _geometry(kind, node.get("coordinates"), where)


_CHILDREN: Final = {"FeatureCollection": "features", "GeometryCollection": "geometries"}


def _declared_crs(node: Mapping[str, Any], inherited: str) -> str:
    crs = node.get("crs")
    if crs is None:
        return inherited
    properties = crs.get("properties") if isinstance(crs, Mapping) else None
    if isinstance(properties, Mapping):
        name = str(properties.get("name") or f"EPSG:{properties.get('code')}")
        if _DECLARED.fullmatch(name):
            return name
    message = "its crs member has no valid CRS name; write EPSG:<code> there or convert it."
    raise AreaError(message)


def _geometry(kind: str, coordinates: Any, where: str) -> BaseGeometry:
    if kind not in _BUILDERS:
        message = f"{where} has an unknown type; GeoJSON has {', '.join(_BUILDERS)}."
        raise AreaError(message)
    try:
        with np.errstate(invalid="ignore"):
            return _BUILDERS[kind](coordinates)
    except (TypeError, ValueError, ArithmeticError, LookupError, shapely.errors.ShapelyError) as e:
        message = f"{where}.coordinates are not those of a {kind}; expected {_EXPECTED[kind]}."
        raise AreaError(message) from e


def _positions(coordinates: Iterable[Any]) -> NDArray[np.float64]:
    try:
        positions = np.array([position[:2] for position in coordinates])
        if positions.dtype.kind in "iufO":  # strings of digits would be converted to numbers
            return positions.astype(np.float64).reshape(len(positions), 2)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ValueError(_NO_POSITION) from error
    raise ValueError(_NO_POSITION)


def _polygon(rings: list[Any]) -> BaseGeometry:
    shell, *holes = map(_positions, rings or [()])
    return shapely.Polygon(shell, holes)


_POSITION: Final = "[longitude, latitude]"
_RINGS: Final = f"rings of at least four positions {_POSITION}, the last like the first"
_EXPECTED: Final = {
    "Point": f"one position {_POSITION}",
    "MultiPoint": f"a list of positions {_POSITION}",
    "LineString": f"at least two positions {_POSITION}",
    "MultiLineString": f"lists of at least two positions {_POSITION}",
    "Polygon": f"a list of {_RINGS}",
    "MultiPolygon": f"a list of polygons, each a list of {_RINGS}",
}
_BUILDERS: Final[Mapping[str, Callable[[Any], BaseGeometry]]] = {
    "Point": lambda position: shapely.Point(_positions([position])),
    "MultiPoint": lambda positions: shapely.MultiPoint(_positions(positions)),
    "LineString": lambda positions: shapely.LineString(_positions(positions)),
    "MultiLineString": lambda lines: shapely.MultiLineString(list(map(_positions, lines))),
    "Polygon": _polygon,
    "MultiPolygon": lambda polygons: shapely.MultiPolygon(list(map(_polygon, polygons))),
}
