"""A STAC search: its options, from a query or a JSON body, and its pages.

Newest first, as pgstac sorts by default. Options that the real service knows and this one does
not are refused rather than ignored.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from dataspace_emulator.recipe import instant
from dataspace_emulator.rows import Row, Rows
from dataspace_emulator.stac_fields import Fields
from dataspace_emulator.stac_item import COLLECTIONS

_DEFAULT_LIMIT: Final = 10
_MOST: Final = 1000
_NOT_HERE: Final = ("filter", "query", "sortby")
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:?\d\d)")
_CORNERS: Final = (4, 6)


class InvalidSearchError(Exception):
    """Raised when a search cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for; None where it does not matter."""

    ids: tuple[str, ...] | None
    collections: tuple[str, ...] | None
    area: shapely.Geometry | None
    earliest: datetime
    latest: datetime
    limit: int
    token: str
    fields: Fields

    def page(self, rows: Rows, now: datetime) -> tuple[list[Row], str]:
        """Rows of one page, and the token of the next one; empty if there is none.

        Raises:
            InvalidSearchError: The token names no item.
        """
        found = self._found(rows, now)
        start = 0
        if self.token:
            tokens = [token(row) for row in found]
            if self.token not in tokens:
                raise InvalidSearchError(f"Token {self.token!r} is not valid")
            start = tokens.index(self.token) + 1
        stop = start + self.limit
        page = found[start:stop]
        return page, token(page[-1]) if stop < len(found) and page else ""

    def _found(self, rows: Rows, now: datetime) -> list[Row]:
        if self.ids is not None:
            names = dict.fromkeys(f"{name}.SAFE" for name in self.ids)
            candidates = [row for name in names for row in rows.named(name)]
        else:
            candidates = rows.between(self.earliest, self.latest)
        latest = {row.product.name: row for row in candidates if listed(row, now)}
        fitting = [row for row in latest.values() if self._fits(row)]
        return sorted(fitting, key=_order, reverse=True)

    def _fits(self, row: Row) -> bool:
        facts = row.product.facts
        wanted = self.collections is None or COLLECTIONS[facts.level] in self.collections
        if not wanted or not self.earliest <= facts.sensed <= self.latest:
            return False
        return self.area is None or bool(row.product.geometry.intersects(self.area))


def listed(row: Row, now: datetime) -> bool:
    """Whether STAC knows a product."""
    facts = row.product.facts
    return facts.published <= now and facts.stac != "absent"


def token(row: Row) -> str:
    """The token of the page after this row."""
    collection = COLLECTIONS[row.product.facts.level]
    return f"next:{collection}:{row.product.name.removesuffix('.SAFE')}"


def _order(row: Row) -> tuple[datetime, str]:
    return row.product.facts.sensed, row.product.name


def from_query(options: Sequence[tuple[str, str]]) -> Search:
    """The search of a GET request.

    Raises:
        InvalidSearchError: An option has a wrong value.
    """
    given: dict[str, Any] = dict(options)
    for name in ("ids", "collections", "bbox"):
        if name in given:
            given[name] = [part for part in given[name].split(",") if part]
    if "bbox" in given:
        given["bbox"] = [_number(text) for text in given["bbox"]]
    if "limit" in given and str(given["limit"]).isdecimal():
        given["limit"] = int(given["limit"])
    if "intersects" in given:
        given["intersects"] = _json(given["intersects"])
    fields = Fields.parse(given.pop("fields", ""))
    return _search(given, fields)


def from_body(body: Mapping[str, Any]) -> Search:
    """The search of a POST request.

    Raises:
        InvalidSearchError: A member has a wrong value.
    """
    fields = body.get("fields") or {}
    if not isinstance(fields, dict):
        raise InvalidSearchError("fields: Input should be an object")
    include = _texts(fields, "include") or ()
    return _search(body, Fields.of(include, _texts(fields, "exclude") or ()))


def _search(given: Mapping[str, Any], fields: Fields) -> Search:
    for name in _NOT_HERE:
        if given.get(name):
            raise InvalidSearchError(f"{name}: not known to this stand-in")
    limit = given.get("limit", _DEFAULT_LIMIT)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= _MOST:
        raise InvalidSearchError(f"limit: Input should be an integer from 1 to {_MOST}")
    earliest, latest = _period(given.get("datetime"))
    return Search(
        ids=_texts(given, "ids"),
        collections=_texts(given, "collections"),
        area=_area(given),
        earliest=earliest,
        latest=latest,
        limit=limit,
        token=_token(given.get("token")),
        fields=fields,
    )


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = given.get(name)
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidSearchError(f"{name}: Input should be a list of strings")
    return tuple(value)


def _token(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or re.fullmatch(r"next:[^:]+:[^:]+", value) is None:
        raise InvalidSearchError(f"Token {value!r} is not valid")
    return value


def _area(given: Mapping[str, Any]) -> shapely.Geometry | None:
    bbox, intersects = given.get("bbox"), given.get("intersects")
    if bbox and intersects:
        raise InvalidSearchError("intersects and bbox parameters are mutually exclusive")
    if intersects:
        return _geometry(intersects)
    if not bbox:
        return None
    if not isinstance(bbox, list) or len(bbox) not in _CORNERS:
        raise InvalidSearchError("bbox: must have 4 or 6 values")
    west, south, east, north = (
        _number(bbox[place])
        for place in ((0, 1, 2, 3) if len(bbox) == _CORNERS[0] else (0, 1, 3, 4))
    )
    if south > north:
        raise InvalidSearchError("bbox: Maximum latitude must be greater than minimum latitude")
    # Across the antimeridian the service finds wrong items or none: here none.
    return box(west, south, east, north) if west <= east else shapely.Point()


def _geometry(document: object) -> shapely.Geometry:
    try:
        geometry: shapely.Geometry = shape(document)
    except (ShapelyError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidSearchError("intersects: Input should be a GeoJSON geometry") from error
    return geometry


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InvalidSearchError(f"bbox: {value!r} is not a number") from error


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidSearchError("intersects: Input should be JSON") from error


def _period(text: object) -> tuple[datetime, datetime]:
    if text is None:
        return _FIRST, _LAST
    ends = str(text).split("/")
    first, last = ends[0], ends[-1]
    if len(ends) > len(("first", "last")) or (len(ends) == 1 and first in {"", ".."}):
        raise InvalidSearchError(f"Datetime parameter {text} is invalid.")
    earliest, latest = _moment(first, _FIRST), _moment(last, _LAST)
    if earliest > latest:
        raise InvalidSearchError(f"Datetime parameter {text} is invalid.")
    return earliest, latest


def _moment(text: str, default: datetime) -> datetime:
    if text in {"", ".."}:
        return default
    if _DATE.fullmatch(text) is None:
        raise InvalidSearchError(f"Invalid RFC3339 datetime: {text}")
    try:
        return instant(text.upper())
    except ValueError as error:
        raise InvalidSearchError(f"Invalid RFC3339 datetime: {text}") from error
