"""Areas in filters: the subset of WKT that the catalogue is known to accept.

Upper-case POINT and POLYGON, two coordinates a point, closed rings, degrees inside the world.
"""

import re
from typing import Final

import shapely
from shapely.geometry import Point, Polygon

_PREFIX: Final = "SRID=4326;"
_KEYWORDS: Final = ("POLYGON", "POINT")
_NUMBER: Final = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_MARK: Final = re.compile(r"\s*([(),])")
_RING_POINTS: Final = 4
_MOST_LON: Final = 180
_MOST_LAT: Final = 90

Position = tuple[float, float]


class RefusedError(Exception):
    """Raised when a request is refused; ``status`` is HTTP, the text is the service's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def unparsable(index: int) -> RefusedError:
    """Return the service's error for invalid text."""
    return RefusedError(400, f"Error during parsing at index {index}")


def parse_area(text: str) -> shapely.Geometry:
    """The geometry of ``SRID=4326;POLYGON((…))`` or ``SRID=4326;POINT(…)``.

    Raises:
        RefusedError: The text or geometry is invalid; positions count from the start of the
            text.
    """
    place = _expect(text, 0, _PREFIX)
    keyword = max(_KEYWORDS, key=lambda word: _common(text[place:], word))
    place = _expect(text, place, keyword)
    if keyword == "POINT":
        place = _mark(text, place, "(")
        position, place = _position(text, place)
        geometry, place = Point(position), _mark(text, place, ")")
    else:
        rings, place = _rings(text, place)
        geometry = _polygon(rings)
    if text[place:].strip():
        raise unparsable(place)
    shapely.prepare(geometry)
    return geometry


def _common(text: str, word: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = zip(text, word, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(text), len(word)))


def _expect(text: str, place: int, word: str) -> int:
    shared = _common(text[place:], word)
    if shared < len(word):
        raise unparsable(place + shared)
    return place + len(word)


def _mark(text: str, place: int, mark: str) -> int:
    found = _MARK.match(text, place)
    if found is None or found[1] != mark:
        raise unparsable(place)
    return found.end()


def _position(text: str, place: int) -> tuple[Position, int]:
    lon = _NUMBER.match(text, place)
    lat = _NUMBER.match(text, lon.end()) if lon else None
    if lon is None or lat is None or not text[lon.end()].isspace():
        raise unparsable(place)
    return (float(lon[1]), float(lat[1])), lat.end()


def _rings(text: str, place: int) -> tuple[list[list[Position]], int]:
    rings: list[list[Position]] = []
    place = _mark(text, place, "(")
    while True:
        place = _mark(text, place, "(")
        ring: list[Position] = []
        while True:
            position, place = _position(text, place)
            ring.append(position)
            found = _MARK.match(text, place)
            if found is None or found[1] == "(":
                raise unparsable(place)
            place = found.end()
            if found[1] == ")":
                break
        rings.append(ring)
        found = _MARK.match(text, place)
        if found is None or found[1] == "(":
            raise unparsable(place)
        place = found.end()
        if found[1] == ")":
            return rings, place


def _polygon(rings: list[list[Position]]) -> Polygon:
    for ring in rings:
        if len(ring) < _RING_POINTS or ring[0] != ring[-1]:
            raise RefusedError(400, "Invalid geometry: ring is not closed")
        if any(abs(lon) > _MOST_LON or abs(lat) > _MOST_LAT for lon, lat in ring):
            raise RefusedError(400, "Invalid geometry: coordinates out of range")
    polygon = Polygon(rings[0], rings[1:])
    if not polygon.is_valid:
        raise RefusedError(400, f"Invalid geometry: {shapely.is_valid_reason(polygon)}")
    return polygon
