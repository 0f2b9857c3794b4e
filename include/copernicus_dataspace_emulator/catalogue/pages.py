"""Query options and pagination of the catalogue: limits, order and next links."""

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from copernicus_dataspace_emulator.catalogue.attributes import EXPANDABLE, ORDERABLE, SELECTABLE
from copernicus_dataspace_emulator.catalogue.filters import parse_filter
from copernicus_dataspace_emulator.catalogue.wkt import RefusedError
from copernicus_dataspace_emulator.holdings.rows import Row, Rows

_DEFAULT_TOP: Final = 20
_LIMITS: Final = {"$top": 1000, "$skip": 10000}
_KEPT_RESULTS: Final = 8


class InvalidOptionError(Exception):
    """Raised for an invalid option; ``detail`` is the service's error detail."""

    def __init__(self, detail: dict[str, Any]) -> None:
        super().__init__(detail["msg"])
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Query:
    """The options of a request; ``given`` has them unchanged and in order."""

    given: tuple[tuple[str, str], ...]
    top: int
    skip: int
    count: bool
    filter: str
    orderby: str
    descending: bool
    expand: tuple[str, ...]
    select: tuple[str, ...]

    def next_link(self, url: str) -> str:
        """Return the URL of the next page: the same options with another ``$skip``."""
        options = [pair for pair in self.given if pair[0] != "$skip"]
        return f"{url}?{urlencode([*options, ('$skip', str(self.skip + self.top))])}"


def parse_query(given: Sequence[tuple[str, str]], listing: str) -> Query:
    """Parse the options of a request to ``Products`` or ``DeletedProducts``.

    Raises:
        RefusedError: An option or field is unknown.
        InvalidOptionError: A number is invalid or out of range.
    """
    last = dict(given)
    expand = tuple(value for name, value in given if name == "$expand")
    for value in expand:
        if value not in EXPANDABLE[listing]:
            raise RefusedError(400, f"Invalid field in expand: {value}")
    select = tuple(name.strip() for name in last.get("$select", "").split(",") if name.strip())
    for value in select:
        if value not in SELECTABLE:
            raise RefusedError(400, f"Invalid field in select: {value}")
    key, _, direction = last.get("$orderby", "").strip().partition(" ")
    if key and (key not in ORDERABLE[listing] or direction not in {"", "asc", "desc"}):
        raise RefusedError(400, f"Invalid field in orderby: {last['$orderby']}")
    return Query(
        given=tuple(given),
        top=_number(last, "$top", _DEFAULT_TOP),
        skip=_number(last, "$skip", 0),
        count=_flag(last, "$count"),
        filter=last.get("$filter", ""),
        orderby=key,
        descending=direction == "desc",
        expand=expand,
        select=select,
    )


def _number(options: dict[str, str], name: str, default: int) -> int:
    text = options.get(name)
    if text is None:
        return default
    detail: dict[str, Any] = {"loc": ["query", name], "input": text}
    if not text.lstrip("-").isdecimal():
        message = "Input should be a valid integer, unable to parse string as an integer"
        raise InvalidOptionError({"type": "int_parsing", **detail, "msg": message})
    limit, number = _LIMITS[name], int(text)
    if 0 <= number <= limit:
        return number
    bound, word, context = (
        ("greater_than_equal", "greater than or equal to 0", {"ge": 0})
        if number < 0
        else ("less_than_equal", f"less than or equal to {limit}", {"le": limit})
    )
    message = f"Input should be {word}"
    raise InvalidOptionError(
        {"type": bound, "loc": detail["loc"], "msg": message, "input": text, "ctx": context}
    )


def _flag(options: dict[str, str], name: str) -> bool:
    text = options.get(name, "false")
    if text not in {"True", "true", "False", "false"}:
        message = "Input should be a valid boolean, unable to interpret input"
        raise InvalidOptionError(
            {"type": "bool_parsing", "loc": ["query", name], "msg": message, "input": text}
        )
    return text.lower() == "true"


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a page, the total count, and whether there is a next link."""

    rows: list[Row]
    total: int
    announced: bool


@dataclass(slots=True)
class Lists:
    """Executes queries; caches the last results for the following pages."""

    clock: Callable[[], datetime]
    _results: dict[tuple[object, ...], list[Row]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self, rows: Rows, query: Query, listing: str) -> Page:
        """Return a page. Beyond row 10,000 there is no next link."""
        found = self._found(rows, query, listing)
        stop = query.skip + query.top
        more = query.top > 0 and stop < min(len(found), _LIMITS["$skip"])
        return Page(found[query.skip : stop], len(found), more)

    def _found(self, rows: Rows, query: Query, listing: str) -> list[Row]:
        now = self.clock()
        shuffle = None if query.orderby else query.skip
        order = (query.orderby, query.descending, shuffle)
        key = (listing, rows.version, query.filter, order, now.replace(microsecond=0))
        with self._lock:
            if key in self._results:
                return self._results[key]
        found = _ordered(_matching(rows, query, now, listing), query)
        with self._lock:
            self._results[key] = found
            while len(self._results) > _KEPT_RESULTS:
                self._results.pop(next(iter(self._results)))
        return found


def _matching(rows: Rows, query: Query, now: datetime, listing: str) -> list[Row]:
    visible = [row for row in rows.all() if row.deleted or row.product.facts.published <= now]
    if not query.filter.strip():
        return visible
    clause = parse_filter(query.filter, listing)
    candidates = rows.between(clause.earliest, clause.latest)
    return [
        row
        for row in candidates
        if (row.deleted or row.product.facts.published <= now) and clause.test(row)
    ]


def _ordered(rows: list[Row], query: Query) -> list[Row]:
    """Sort rows by the requested date and id; without ``$orderby`` each page has another order."""
    if not query.orderby:
        salt = str(query.skip).encode()
        return sorted(rows, key=lambda row: zlib.crc32(row.product.id.encode() + salt))
    by_id = sorted(rows, key=lambda row: row.product.id)
    return sorted(by_id, key=lambda row: _when(row, query.orderby), reverse=query.descending)


def _when(row: Row, name: str) -> datetime:
    return row.date(name) or row.product.facts.sensed
