"""Pagination, the 10,000-row cap and consistency checks of catalogue queries."""

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
    shortened,
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
    from copernicus_dataspace.limits.retry import RetryPolicy
    from copernicus_dataspace.models.time_range import Window

logger = logging.getLogger(__name__)

_PAGE_ROWS: Final = 1000
_MAX_ROWS: Final = 10_000
"""The service caps both; beyond the 10,000 rows of a query it silently returns no next page.

https://documentation.dataspace.copernicus.eu/APIs/OData.html#query-structure
"""

_POSITIONS: Final = ("$skip", "$skiptoken")

_POSITION: Final = re.compile(r"[0-9]{1,9}")
_COUNT: Final = "@odata.count"
_WHAT: Final = "catalogue"
_NOT_HERE: Final = (404, 410)


class PageRow(NamedTuple):
    """A row, and the entity it was parsed from."""

    row: Row
    entity: Any


class _Read(NamedTuple):
    """Entities of all pages, the catalogue's count, and whether the last page is full."""

    entities: list[Any]
    listed: int | None
    is_full: bool
    odd_count: UnusableRow | None


class Pages:
    """Paginated queries of the OData catalogue."""

    def __init__(self, http: Http, catalogue_url: str, retries: RetryPolicy) -> None:
        """Use the catalogue at a base URL."""
        self._http = http
        self._url = catalogue_url
        self._retries = retries

    def lines(self, of: str, query: Query) -> Iterator[PageRow]:
        """Yield all rows of an entity set that match a query, each once per filter of the query.

        Raises:
            QueryError: The catalogue refused the query.
            TransientError: A page is not available or incomplete.
        """
        limits = query.max_cloud_cover is not None
        for index in range(len(query.filters(query.sensed))):
            sensed: Window | None = query.sensed
            while sensed is not None:
                lines, is_cut = self._rows(of, query.filters(sensed)[index], limits=limits)
                yield from lines
                sensed = _rest(sensed, lines) if is_cut else None

    def first(self, of: str, query: Query, *, rows: int) -> tuple[int, list[Row]]:
        """Return the number of rows of a query, and the first rows, with one small request.

        Of a query with several filters, only the first is used.

        Raises:
            DataSpaceError: The catalogue cannot be queried.
        """
        params = {**_params(query.filters(query.sensed)[0]), "$top": str(rows)}
        page = self._page(of, params, _check_rows)
        listed = _listed(page, None)
        if isinstance(listed, UnusableRow):
            message = f"{_WHAT}: {listed}."
            raise ServiceUnavailableError(message)
        return listed or 0, [read_row(one) for one in page["value"]]

    def _rows(self, of: str, filter_text: str, *, limits: bool) -> tuple[list[PageRow], bool]:
        """Return the rows of a filter, each once, and whether the cap hides more of them.

        Duplicate rows may have displaced others: if there are fewer distinct rows than the count
        says, all pages are read a second time.
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
            reachable = min(read.listed, _MAX_ROWS) if read.listed is not None else 0
            if known >= reachable:
                hides_more = read.listed > known if read.listed is not None else read.is_full
                odd += [PageRow(Row(None, read.odd_count), None)] if read.odd_count else []
                return [*products.values(), *odd], len(lines) >= _MAX_ROWS and hides_more
        message = f"{_WHAT}: the count is {read.listed} products, but the pages have only {known}."
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
        """Return the error for a 404: temporary if it is the catalogue's own, else a wrong URL."""
        if not self._http.setting_of(self._url):
            return ServiceUnavailableError(str(error), error.retry_after_s)
        if error.status in _NOT_HERE and not error.is_own:
            return ConfigurationError(f"No catalogue was found at catalogue_url: {error}")
        message = f"If this persists, check catalogue_url: {error}"
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
        message = f"{_WHAT}: the response has no list of products: {str(page)[:200]}"
        raise ServiceUnavailableError(message)


def _check_complete(
    params: Mapping[str, str],
    rows_before: int,
    total: int | UnusableRow | None,
    page: Mapping[str, Any],
) -> None:
    """Refuse a page with an invalid next link, or a last page before the count is reached."""
    _check_rows(page)
    _next(params, page)
    listed = _listed(page, total)
    received = rows_before + len(page["value"])
    is_last = not page.get("@odata.nextLink")
    if is_last and isinstance(listed, int) and received < min(listed, _MAX_ROWS):
        message = f"{_WHAT}: the count is {listed} products, but the pages end after {received}."
        raise ServiceUnavailableError(message)


def _next(params: Mapping[str, str], page: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the next page's parameters; only the position of the link is used.

    So the link can neither lead to another host nor change the query.
    """
    link = page.get("@odata.nextLink")
    if not link:
        return None
    position = _position(link)
    if not position or not _leads_on(params, position):
        message = f"{_WHAT}: the link to the next page, {shortened(link)}, is invalid."
        raise ServiceUnavailableError(message)
    following = {**params, **position}
    following.pop("$count", None)
    return following


def _position(link: object) -> dict[str, str]:
    try:
        options = parse_qsl(urlsplit(link).query) if isinstance(link, str) else []
    except ValueError:  # invalid IPv6 brackets
        return {}
    return {name: value for name, value in options if name in _POSITIONS}


def _leads_on(params: Mapping[str, str], position: Mapping[str, str]) -> bool:
    if "$skiptoken" in position:
        return position["$skiptoken"] != params.get("$skiptoken")
    skip = position["$skip"]
    return bool(_POSITION.fullmatch(skip)) and int(skip) > int(params.get("$skip", 0))


def _listed(page: Mapping[str, Any], known: int | UnusableRow | None) -> int | UnusableRow | None:
    """Return the catalogue's count of rows, which only the first page has.

    If the count is invalid, there may be more rows than on the pages.
    """
    count = page.get(_COUNT)
    if count is None:
        return known
    listed = whole_number(count)
    if listed is None:
        why = (
            f"it is {shortened(count)}, not a number, so there may be more products than on its "
            "pages"
        )
        return UnusableRow(_COUNT, "", None, why)
    return listed


def _rest(sensed: Window, lines: list[PageRow]) -> Window:
    """Return the part of a window hidden by the cap; rows of its first instant may repeat."""
    products = (line.row.product for line in lines)
    instants = (product.sensed for product in products if product and product.sensed in sensed)
    reached = max(instants, default=sensed.start)
    if reached <= sensed.start:
        message = f"{_WHAT}: more than {_MAX_ROWS} products at {reached}; narrow the area."
        raise ServiceUnavailableError(message)
    logger.info("The catalogue returns at most %d rows; continuing from %s.", _MAX_ROWS, reached)
    return replace(sensed, start=reached)
