"""Options of a STAC search, from a query string or a JSON body.

A filter is CQL2, or ``query``, which is converted to CQL2.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from copernicus_dataspace_emulator.products.recipe import instant
from copernicus_dataspace_emulator.stac import cql, cql_text
from copernicus_dataspace_emulator.stac.fields import Fields
from copernicus_dataspace_emulator.stac.search import InvalidSearchError, Search

_DEFAULT_LIMIT: Final = 10
_MOST: Final = 1000
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:?\d\d)")
_CORNERS: Final = (4, 6)
_LANGUAGES: Final = ("cql2-json", "cql2-text")
_COMPARE: Final = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_LIKE: Final = {"startsWith": "{}%", "endsWith": "%{}", "contains": "%{}%"}


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
    for name in ("intersects", "query"):
        if name in given:
            given[name] = _json(name, given[name])
    if "sortby" in given:
        given["sortby"] = [_direction(part) for part in given["sortby"].split(",") if part.strip()]
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
        test=_test(given),
        order=_order(given.get("sortby")),
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
    # Across the antimeridian the service returns wrong or no items; the emulator returns none.
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


def _json(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidSearchError(f"{name}: Input should be JSON") from error


def _test(given: Mapping[str, Any]) -> cql.Test | None:
    trees = [*_filter(given), *_query(given.get("query"))]
    if not trees:
        return None
    try:
        return cql.compiled({"op": "and", "args": trees})
    except cql_text.CqlError as error:
        raise InvalidSearchError(f"filter: {error}") from error


def _filter(given: Mapping[str, Any]) -> list[cql_text.Node]:
    """Return the tree of a filter, if any; a string is CQL2 text unless declared as JSON."""
    found = given.get("filter")
    if not found:
        return []
    usual = "cql2-text" if isinstance(found, str) else "cql2-json"
    language = given.get("filter-lang", given.get("filter_lang", usual))
    if language not in _LANGUAGES or (isinstance(found, dict) and language != usual):
        raise InvalidSearchError(f"filter-lang: {language!r} is not {' or '.join(_LANGUAGES)}")
    if not isinstance(found, str):
        return [found]
    try:
        return [json.loads(found) if language == "cql2-json" else cql_text.parse(found)]
    except ValueError as error:
        raise InvalidSearchError(f"filter: {error}") from error


def _query(found: object) -> list[cql_text.Node]:
    """The conditions of the query extension, each as a tree."""
    if not found:
        return []
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise InvalidSearchError("query: Input should be an object of objects")
    return [
        _condition({"property": name}, word, value)
        for name, conditions in found.items()
        for word, value in conditions.items()
    ]


def _condition(name: cql_text.Node, word: str, value: Any) -> cql_text.Node:
    if word in _COMPARE:
        return {"op": _COMPARE[word], "args": [name, value]}
    if word in _LIKE:
        return {"op": "like", "args": [name, _LIKE[word].format(value)]}
    if word == "in":
        return {"op": "in", "args": [name, value]}
    raise InvalidSearchError(f"query: {word!r} is not known")


def _direction(text: str) -> dict[str, str]:
    name = text.strip().lstrip("+- ")
    return {"field": name, "direction": "desc" if text.strip().startswith("-") else "asc"}


def _order(found: object) -> tuple[tuple[str, bool], ...]:
    if found is None:
        return ()
    try:
        pairs = [(str(one["field"]), one.get("direction", "asc")) for one in found]  # type: ignore[attr-defined]
    except (TypeError, KeyError, AttributeError) as error:
        raise InvalidSearchError("sortby: Input should be a list of field and direction") from error
    if any(direction not in {"asc", "desc"} for _, direction in pairs):
        raise InvalidSearchError("sortby: direction should be asc or desc")
    return tuple((name.removeprefix("properties."), way == "desc") for name, way in pairs)


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
