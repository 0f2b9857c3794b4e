"""Knows how to read all of the catalogue's answer: its pages, its wall and its slips."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from dataspace.errors import (
    ProductNotFoundError,
    ProductUnavailableError,
    ServiceUnavailableError,
)
from dataspace.product import Product
from dataspace.query import ORDER_BY, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from dataspace.http import Http
    from dataspace.retries import Retries
    from dataspace.window import Window

logger = logging.getLogger(__name__)

_PAGE_ROWS: Final = 1000
_WALL_ROWS: Final = 10_000
"""The service caps both; past the wall it silently gives no next page.

https://documentation.dataspace.copernicus.eu/APIs/OData.html#query-structure
"""

_POSITIONS: Final = ("$skip", "$skiptoken")

_WHAT: Final = "catalogue"


class Catalogue:
    """Searches the OData catalogue, which needs no account."""

    def __init__(self, http: Http, catalogue_url: str, retries: Retries) -> None:
        self._http = http
        self._url = f"{catalogue_url}/Products"
        self._retries = retries

    def search(self, query: Query) -> list[Product]:
        """Return all wanted products, each once, by start of sensing and then by name.

        Of several with one name, one that is online is returned, of those the latest published.

        Raises:
            QueryError: The catalogue refused the question.
            ProductNotFoundError: A product asked for by id or name is not listed.
            TransientError: A page could not be had in full; never fewer rows instead.
        """
        found: dict[str, Product] = {}
        for product in self._all(query):
            if query.accepts(product):
                found.setdefault(product.id, product)
        products = sorted(found.values(), key=lambda product: (product.sensed, product.name))
        _check_all_named(query, products)
        return _one_of_each_name(products)

    def peek(self, query: Query) -> tuple[int, Product | None]:
        """Return how many products the catalogue lists, and the first, by one small request.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        params = {**_params(query.filters(query.sensed)[0]), "$top": "1"}
        page = self._page(params, _check_rows)
        rows = page["value"]
        return _listed(page, None) or 0, Product.from_odata(rows[0]) if rows else None

    def _all(self, query: Query) -> Iterator[Product]:
        for index in range(len(query.filters(query.sensed))):
            sensed: Window | None = query.sensed
            while sensed is not None:
                rows, is_cut = self._rows(query.filters(sensed)[index])
                products = [_product(row, query) for row in rows]
                yield from products
                sensed = _rest(sensed, products) if is_cut else None

    def _rows(self, filter_text: str) -> tuple[list[dict[str, Any]], bool]:
        """Return the rows a filter reaches, each once, and whether the wall hides more of them.

        Rows that repeat may have taken the place of others. So where fewer are known than are
        listed, all pages are read a second time.
        """
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(2):
            read, listed, is_full = self._read(filter_text)
            rows |= {str(row.get("Id")): row for row in read if isinstance(row, dict)}
            reachable = min(listed, _WALL_ROWS) if listed is not None else 0
            if len(rows) >= reachable:
                hides_more = listed > len(rows) if listed is not None else is_full
                return list(rows.values()), len(read) >= _WALL_ROWS and hides_more
        message = f"{_WHAT}: {listed} products are listed, but only {len(rows)} are on its pages."
        raise ServiceUnavailableError(message)

    def _read(self, filter_text: str) -> tuple[list[dict[str, Any]], int | None, bool]:
        """Return all pages' rows, the count the catalogue gives, and whether the last is full."""
        params: dict[str, str] | None = _params(filter_text)
        rows: list[dict[str, Any]] = []
        listed: int | None = None
        is_full = False
        while params is not None:
            page = self._page(params, partial(_check_complete, params, len(rows), listed))
            listed = _listed(page, listed)
            rows += page["value"]
            is_full = len(page["value"]) >= _PAGE_ROWS
            params = _next(params, page)
        return rows, listed, is_full

    def _page(
        self, params: Mapping[str, str], check: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            try:
                with self._http.get(self._url, what=_WHAT, params=params) as answer:
                    page = answer.json()
            except ProductUnavailableError as error:  # its 404 passes, unless the URL is wrong
                message = f"{error} If it stays so, check catalogue_url."
                raise ServiceUnavailableError(message) from error
            check(page)
            return page

        return self._retries.call(attempt)


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
    params: Mapping[str, str], rows_before: int, total: int | None, page: Mapping[str, Any]
) -> None:
    """Refuse a page that leads nowhere, or a last one before the count the catalogue gave."""
    _check_rows(page)
    _next(params, page)
    listed = _listed(page, total)
    received = rows_before + len(page["value"])
    is_last = not page.get("@odata.nextLink")
    if is_last and listed is not None and received < min(listed, _WALL_ROWS):
        message = f"{_WHAT}: {listed} products are listed, but the pages end after {received}."
        raise ServiceUnavailableError(message)


def _next(params: Mapping[str, str], page: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the next page's parameters; of the link only its position is used.

    So the link can neither lead to another host nor change the question.
    """
    link = page.get("@odata.nextLink")
    if not link:
        return None
    options = dict(parse_qsl(urlsplit(str(link)).query))
    position = {name: value for name, value in options.items() if name in _POSITIONS}
    if not position or not _leads_on(params, position):
        message = f"{_WHAT}: the link to the next page does not lead on ({position})."
        raise ServiceUnavailableError(message)
    following = {**params, **position}
    following.pop("$count", None)
    return following


def _leads_on(params: Mapping[str, str], position: Mapping[str, str]) -> bool:
    if "$skiptoken" in position:
        return position["$skiptoken"] != params.get("$skiptoken")
    return position["$skip"].isdigit() and int(position["$skip"]) > int(params.get("$skip", 0))


def _listed(page: Mapping[str, Any], known: int | None) -> int | None:
    """Return how many rows the catalogue says there are; only the first page is asked to say."""
    count = page.get("@odata.count", known)
    try:
        return None if count is None else int(count)
    except (TypeError, ValueError) as error:
        message = f"{_WHAT}: {str(count)[:80]!r} is no count of products."
        raise ServiceUnavailableError(message) from error


def _product(row: dict[str, Any], query: Query) -> Product:
    if query.max_cloud_cover is not None and "Attributes" not in row:
        message = f"{_WHAT}: {row.get('Name')} came without the attributes that were asked for."
        raise ServiceUnavailableError(message)
    return Product.from_odata(row)


def _rest(sensed: Window, products: list[Product]) -> Window:
    """Return the part of a window the wall has hidden; its first instant may be known already."""
    reached = max(product.sensed for product in products)
    if reached <= sensed.start:
        message = f"{_WHAT}: more than {_WALL_ROWS} products at {reached}; narrow the area."
        raise ServiceUnavailableError(message)
    logger.info("The catalogue gives %d rows at most; asking on from %s.", _WALL_ROWS, reached)
    return replace(sensed, start=reached)


def _one_of_each_name(products: list[Product]) -> list[Product]:
    """Leave out what the service lists a second time under another id."""
    chosen: dict[str, Product] = {}
    for product in sorted(products, key=_preference):
        other = chosen.pop(product.stem, None)
        if other:
            logger.warning("%s is listed twice; %s is left out.", product.stem, other.id)
        chosen[product.stem] = product
    return [product for product in products if chosen[product.stem] is product]


def _preference(product: Product) -> tuple[bool, bool, datetime, str]:
    published = product.published
    return product.online, published is not None, published or product.sensed, product.id


def _check_all_named(query: Query, products: list[Product]) -> None:
    known = {key for product in products for key in (product.id, product.name, product.stem)}
    missing = [wanted for wanted in query.product_ids if not known & {wanted, wanted[:-5]}]
    if missing:
        message = (
            f"{_WHAT}: not listed: {', '.join(missing)}. Check the spelling, or whether the "
            "product was withdrawn or replaced by a newer baseline."
        )
        raise ProductNotFoundError(message)
