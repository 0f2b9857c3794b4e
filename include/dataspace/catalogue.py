"""Knows how to read all of the catalogue's answer: its pages, its wall and its slips."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
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
_PRODUCTS: Final = "Products"
_DELETED: Final = "DeletedProducts"


@dataclass(frozen=True, slots=True)
class Deletion:
    """That a product was deleted: when and why, as the catalogue writes it."""

    date: str
    cause: str

    def __str__(self) -> str:
        return f"{self.date[:10]}: {self.cause}"


class Catalogue:
    """Searches the OData catalogue, which needs no account."""

    def __init__(self, http: Http, catalogue_url: str, retries: Retries) -> None:
        self._http = http
        self._url = catalogue_url
        self._retries = retries

    def search(self, query: Query) -> list[Product]:
        """Return all wanted products, each id once, by start of sensing and then by name.

        Several may have one name, or be of one acquisition: see `dataspace.dedupe`.

        Raises:
            QueryError: The catalogue refused the question.
            ProductNotFoundError: A product asked for by id or name is not listed.
            TransientError: A page could not be had in full; never fewer rows instead.
        """
        products = self.find(query)
        _check_all_named(query, products)
        return products

    def find(self, query: Query) -> list[Product]:
        """Return what `search` does, though products asked for by id or name be missing.

        Raises:
            QueryError: The catalogue refused the question.
            TransientError: A page could not be had in full.
        """
        found: dict[str, Product] = {}
        for product, _ in self._all(query, _PRODUCTS):
            if query.accepts(product):
                found.setdefault(product.id, product)
        return sorted(found.values(), key=lambda product: (product.sensed, product.name))

    def deleted(self, query: Query) -> dict[str, Deletion]:
        """Return why products were deleted that once matched a query, by id.

        A cloud limit does not count, nor whether they were published or online.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        asked = replace(query, max_cloud_cover=None, published=None, online=None)
        found: dict[str, Deletion] = {}
        for product, row in self._all(asked, _DELETED):
            deletion = Deletion(str(row.get("DeletionDate")), str(row.get("DeletionCause")))
            found[product.id] = deletion
        return found

    def peek(self, query: Query) -> tuple[int, Product | None]:
        """Return how many products the catalogue lists, and the first, by one small request.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        params = {**_params(query.filters(query.sensed)[0]), "$top": "1"}
        page = self._page(_PRODUCTS, params, _check_rows)
        rows = page["value"]
        return _listed(page, None) or 0, Product.from_odata(rows[0]) if rows else None

    def _all(self, query: Query, of: str) -> Iterator[tuple[Product, dict[str, Any]]]:
        for index in range(len(query.filters(query.sensed))):
            sensed: Window | None = query.sensed
            while sensed is not None:
                rows, is_cut = self._rows(of, query.filters(sensed)[index])
                products = [_product(row, query) for row in rows]
                yield from zip(products, rows, strict=True)
                sensed = _rest(sensed, products) if is_cut else None

    def _rows(self, of: str, filter_text: str) -> tuple[list[dict[str, Any]], bool]:
        """Return the rows a filter reaches, each once, and whether the wall hides more of them.

        Rows that repeat may have taken the place of others. So where fewer are known than are
        listed, all pages are read a second time.
        """
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(2):
            read, listed, is_full = self._read(of, filter_text)
            rows |= {str(row.get("Id")): row for row in read if isinstance(row, dict)}
            reachable = min(listed, _WALL_ROWS) if listed is not None else 0
            if len(rows) >= reachable:
                hides_more = listed > len(rows) if listed is not None else is_full
                return list(rows.values()), len(read) >= _WALL_ROWS and hides_more
        message = f"{_WHAT}: {listed} products are listed, but only {len(rows)} are on its pages."
        raise ServiceUnavailableError(message)

    def _read(self, of: str, filter_text: str) -> tuple[list[dict[str, Any]], int | None, bool]:
        """Return all pages' rows, the count the catalogue gives, and whether the last is full."""
        params: dict[str, str] | None = _params(filter_text)
        rows: list[dict[str, Any]] = []
        listed: int | None = None
        is_full = False
        while params is not None:
            page = self._page(of, params, partial(_check_complete, params, len(rows), listed))
            listed = _listed(page, listed)
            rows += page["value"]
            is_full = len(page["value"]) >= _PAGE_ROWS
            params = _next(params, page)
        return rows, listed, is_full

    def _page(
        self, of: str, params: Mapping[str, str], check: Callable[[Mapping[str, Any]], None]
    ) -> dict[str, Any]:
        def attempt() -> dict[str, Any]:
            try:
                with self._http.get(f"{self._url}/{of}", what=_WHAT, params=params) as answer:
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


def _check_all_named(query: Query, products: list[Product]) -> None:
    known = {key for product in products for key in (product.id, product.name, product.stem)}
    missing = [wanted for wanted in query.product_ids if not known & {wanted, wanted[:-5]}]
    if missing:
        message = (
            f"{_WHAT}: not listed: {', '.join(missing)}. Check the spelling, or whether the "
            "product was withdrawn or replaced by a newer baseline."
        )
        raise ProductNotFoundError(message)
