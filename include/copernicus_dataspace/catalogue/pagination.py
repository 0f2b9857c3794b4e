"""Reads all pages of the catalogue's lists: their rows, the wall behind which more may be."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from copernicus_dataspace.catalogue.odata_rows import (
    Row,
    UnusableRow,
    read_row,
    shown,
    whole_number,
)
from copernicus_dataspace.catalogue.query import ORDER_BY
from copernicus_dataspace.errors import (
    ConfigurationError,
    DataSpaceError,
    ProductUnavailableError,
    ServiceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.limits.retry import Retries
    from copernicus_dataspace.models.time_range import Window

logger = logging.getLogger(__name__)

_PAGE_ROWS: Final = 1000
_WALL_ROWS: Final = 10_000
"""The service caps both; past the wall it silently gives no next page.

https://documentation.dataspace.copernicus.eu/APIs/OData.html#query-structure
"""

_POSITIONS: Final = ("$skip", "$skiptoken")

_POSITION: Final = re.compile(r"[0-9]{1,9}")
_COUNT: Final = "@odata.count"
_WHAT: Final = "catalogue"
_NOT_HERE: Final = (404, 410)


class PageRow(NamedTuple):
    """A row, and the entity it was read from."""

    row: Row
    entity: Any


class _Read(NamedTuple):
    """The entities of all pages, the count the catalogue gives, whether the last page is full."""

    entities: list[Any]
    listed: int | None
    is_full: bool
    odd_count: UnusableRow | None


class Pages:
    """The lists of the OData catalogue."""

    def __init__(self, http: Http, catalogue_url: str, retries: Retries) -> None:
        """Use the catalogue at an address."""
        self._http = http
        self._url = catalogue_url
        self._retries = retries

    def lines(self, of: str, query: Query) -> Iterator[PageRow]:
        """Yield all rows of a list that match a query, each once for each of its requests.

        Raises:
            QueryError: The catalogue refused the question.
            TransientError: A page could not be had in full.
        """
        limits = query.max_cloud_cover is not None
        for index in range(len(query.filters(query.sensed))):
            sensed: Window | None = query.sensed
            while sensed is not None:
                lines, is_cut = self._rows(of, query.filters(sensed)[index], limits=limits)
                yield from lines
                sensed = _rest(sensed, lines) if is_cut else None

    def first(self, of: str, query: Query) -> tuple[int, Row | None]:
        """Return how many rows a list has, and the first, by one small request.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        params = {**_params(query.filters(query.sensed)[0]), "$top": "1"}
        page = self._page(of, params, _check_rows)
        listed = _listed(page, None)
        if isinstance(listed, UnusableRow):
            message = f"{_WHAT}: {listed}."
            raise ServiceUnavailableError(message)
        return listed or 0, read_row(page["value"][0]) if page["value"] else None

    def _rows(self, of: str, filter_text: str, *, limits: bool) -> tuple[list[PageRow], bool]:
        """Return the rows a filter reaches, each once, and whether the wall hides more of them.

        Rows that repeat may have taken the place of others. So where fewer are known than are
        listed, all pages are read a second time.
        """
        products: dict[tuple[str, str], PageRow] = {}
        for _ in range(2):
            read = self._read(of, filter_text)
            lines = [
                PageRow(read_row(one, limits_cloud_cover=limits), one) for one in read.entities
            ]
            odd = [line for line in lines if not line.row.product]
            products |= {
                (line.row.product.id, line.row.product.name): line
                for line in lines
                if line.row.product
            }
            known = len(products) + len(odd)
            reachable = min(read.listed, _WALL_ROWS) if read.listed is not None else 0
            if known >= reachable:
                hides_more = read.listed > known if read.listed is not None else read.is_full
                odd += [PageRow(Row(None, read.odd_count), None)] if read.odd_count else []
                return [*products.values(), *odd], len(lines) >= _WALL_ROWS and hides_more
        message = f"{_WHAT}: {read.listed} products are listed, but only {known} are on its pages."
        raise ServiceUnavailableError(message)

    def _read(self, of: str, filter_text: str) -> _Read:
        params: dict[str, str] | None = _params(filter_text)
        entities: list[Any] = []
        listed: int | UnusableRow | None = None
        is_full = False
        while params is not None:
            page = self._page(of, params, partial(_check_complete, params, len(entities), listed))
            listed = _listed(page, listed)
            entities += page["value"]
            is_full = len(page["value"]) >= _PAGE_ROWS
            params = _next(params, page)
        if isinstance(listed, UnusableRow):
            return _Read(entities, None, is_full, listed)
        return _Read(entities, listed, is_full, None)

    def _page(
        self, of: str, params: Mapping[str, str], check: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            try:
                with self._http.get(f"{self._url}/{of}", what=_WHAT, params=params) as answer:
                    page = answer.json()
            except ProductUnavailableError as error:
                raise self._absent(error) from error
            check(page)
            return page

        return self._retries.call(attempt)

    def _absent(self, error: ProductUnavailableError) -> DataSpaceError:
        """Return what is wrong: the catalogue's own 404 passes; another's does at its address."""
        if not self._http.setting_of(self._url):
            return ServiceUnavailableError(str(error), error.retry_after_s)
        if error.status in _NOT_HERE and not error.is_own:
            return ConfigurationError(f"There is no catalogue at catalogue_url: {error}")
        message = f"Check catalogue_url, unless this passes: {error}"
        return ServiceUnavailableError(message, error.retry_after_s)


def _params(filter_text: str) -> dict[str, str]:
    return {
        "$filter": filter_text,
        "$orderby": ORDER_BY,
        "$top": str(_PAGE_ROWS),
        "$expand": "Attributes",
        "$count": "True",
    }


def _check_rows(page: Mapping[str, Any]) -> None:
    if not isinstance(page.get("value"), list):
        message = f"{_WHAT}: the answer holds no list of products: {str(page)[:200]}"
        raise ServiceUnavailableError(message)


def _check_complete(
    params: Mapping[str, str],
    rows_before: int,
    total: int | UnusableRow | None,
    page: Mapping[str, Any],
) -> None:
    """Refuse a page that leads nowhere, or a last one before the count the catalogue gave."""
    _check_rows(page)
    _next(params, page)
    listed = _listed(page, total)
    received = rows_before + len(page["value"])
    is_last = not page.get("@odata.nextLink")
    if is_last and isinstance(listed, int) and received < min(listed, _WALL_ROWS):
        message = f"{_WHAT}: {listed} products are listed, but the pages end after {received}."
        raise ServiceUnavailableError(message)


def _next(params: Mapping[str, str], page: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the next page's parameters; of the link only its position is used.

    So the link can neither lead to another host nor change the question.
    """
    link = page.get("@odata.nextLink")
    if not link:
        return None
    position = _position(link)
    if not position or not _leads_on(params, position):
        message = f"{_WHAT}: the link to the next page, {shown(link)}, does not lead on."
        raise ServiceUnavailableError(message)
    following = {**params, **position}
    following.pop("$count", None)
    return following


def _position(link: object) -> dict[str, str]:
    try:
        options = parse_qsl(urlsplit(link).query) if isinstance(link, str) else []
    except ValueError:  # brackets that hold no address
        return {}
    return {name: value for name, value in options if name in _POSITIONS}


def _leads_on(params: Mapping[str, str], position: Mapping[str, str]) -> bool:
    if "$skiptoken" in position:
        return position["$skiptoken"] != params.get("$skiptoken")
    skip = position["$skip"]
    return bool(_POSITION.fullmatch(skip)) and int(skip) > int(params.get("$skip", 0))


def _listed(page: Mapping[str, Any], known: int | UnusableRow | None) -> int | UnusableRow | None:
    """Return how many rows the catalogue says there are; only the first page is asked to say.

    A count that cannot be read leaves it open whether more is listed than is on the pages.
    """
    count = page.get(_COUNT)
    if count is None:
        return known
    listed = whole_number(count)
    if listed is None:
        why = (
            f"it is {shown(count)}, not a number, so there may be more products than its pages hold"
        )
        return UnusableRow(_COUNT, "", None, why)
    return listed


def _rest(sensed: Window, lines: list[PageRow]) -> Window:
    """Return the part of a window the wall has hidden; its first instant may be known already."""
    products = (line.row.product for line in lines)
    instants = (product.sensed for product in products if product and product.sensed in sensed)
    reached = max(instants, default=sensed.start)
    if reached <= sensed.start:
        message = f"{_WHAT}: more than {_WALL_ROWS} products at {reached}; narrow the area."
        raise ServiceUnavailableError(message)
    logger.info("The catalogue gives %d rows at most; asking on from %s.", _WALL_ROWS, reached)
    return replace(sensed, start=reached)
