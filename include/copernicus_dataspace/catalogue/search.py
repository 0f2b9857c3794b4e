"""Searches the catalogue: which of its rows are wanted products.

A row that cannot be used is left out and named, see `rows`; it keeps no other row away.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from copernicus_dataspace.catalogue.odata_rows import UnusableRow, shown
from copernicus_dataspace.catalogue.pagination import Pages
from copernicus_dataspace.errors import ProductNotFoundError
from copernicus_dataspace.models.product import Product

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.limits.retry import Retries

logger = logging.getLogger(__name__)

_MOST_NAMED: Final = 20
"""Rows that the log names."""

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


class Deletions(dict[str, Deletion]):
    """Why products were deleted, by id.

    Attributes:
        unusable: The rows of the answer that could not be used.
    """

    unusable: tuple[UnusableRow, ...] = ()


class Products(list[Product]):
    """The products of an answer.

    Attributes:
        unusable: The rows of the answer that could not be used.
    """

    def __init__(self, products: Iterable[Product], unusable: Iterable[UnusableRow]) -> None:
        super().__init__(products)
        self.unusable = tuple(unusable)

    def to_dataframe(self, *, geometry: bool = False) -> pd.DataFrame:
        """Return one row per product.

        Args:
            geometry: Whether to return a GeoDataFrame with the footprints, in EPSG:4326.
        """
        from copernicus_dataspace.catalogue.dataframe import to_frame  # noqa: PLC0415 - pandas

        return to_frame(self, geometry=geometry)


class Catalogue:
    """Searches the OData catalogue, which needs no account."""

    def __init__(self, http: Http, catalogue_url: str, retries: Retries) -> None:
        self._pages = Pages(http, catalogue_url, retries)

    def search(self, query: Query) -> Products:
        """Return all wanted products, each id once, by start of sensing and then by name.

        Several may have one name, or be of one acquisition: see `catalogue.versions`. Rows that
        cannot be used are named in the log and in `Products.unusable`.

        Raises:
            QueryError: The catalogue refused the question.
            ProductNotFoundError: A product asked for by id or name is not listed.
            TransientError: A page could not be had in full; never fewer rows instead.
        """
        products = self.find(query)
        _check_all_named(query, products)
        return products

    def find(self, query: Query) -> Products:
        """Return what `search` does, though products asked for by id or name be missing.

        Raises:
            QueryError: The catalogue refused the question.
            TransientError: A page could not be had in full.
        """
        found: dict[str, Product] = {}
        unusable: dict[UnusableRow, None] = {}
        unknown: dict[str, None] = {}
        of_any_cover = replace(query, max_cloud_cover=None)
        for (product, flaw, notes), _ in self._pages.lines(_PRODUCTS, query):
            if product and not (of_any_cover if flaw else query).accepts(product):
                continue
            if flaw or not product:
                unusable |= {flaw: None} if flaw else {}
            elif found.setdefault(product.id, product).name != product.name:
                unusable[_of_one_id(product, found[product.id])] = None
            else:
                unknown |= dict.fromkeys(f"{product.stem}: {note}" for note in notes)
        _tell("cannot be used and are left out", unusable)
        _tell("hold values that count as unknown", unknown)
        products = sorted(found.values(), key=lambda product: (product.sensed, product.name))
        return Products(products, unusable)

    def deleted(self, query: Query) -> Deletions:
        """Return why products were deleted that once matched a query, by id.

        A cloud limit does not count, nor whether they were published or online. Rows that cannot
        be used are named in the log and in `Deletions.unusable`.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        asked = replace(query, max_cloud_cover=None, published=None, online=None)
        found, unusable = Deletions(), dict[UnusableRow, None]()
        for (product, flaw, _), entity in self._pages.lines(_DELETED, asked):
            if product:
                date, cause = (entity.get(f"Deletion{field}") for field in ("Date", "Cause"))
                found[product.id] = Deletion(*(_words(value) for value in (date, cause)))
            elif flaw:
                unusable[flaw] = None
        _tell("of deleted products cannot be used and are left out", unusable)
        found.unusable = tuple(unusable)
        return found

    def peek(self, query: Query) -> tuple[int, Product | None]:
        """Return how many products the catalogue lists, and the first, by one small request.

        Raises:
            DataSpaceError: The catalogue cannot be asked.
        """
        listed, first = self._pages.first(_PRODUCTS, query)
        return listed, first.product if first and not first.unusable else None


def _of_one_id(product: Product, first: Product) -> UnusableRow:
    day = product.sensed.date().isoformat()
    return UnusableRow(product.name, product.id, day, f"its Id is that of {first.name}, too")


def _words(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else shown(value)


def _tell(what: str, named: Mapping[Any, None]) -> None:
    if named:
        few = "; ".join(map(str, [*named][:_MOST_NAMED]))
        logger.warning("%d rows of the catalogue %s: %s.", len(named), what, few)


def _check_all_named(query: Query, products: Products) -> None:
    """Refuse an answer that lacks what was asked for, but for what its unusable rows may be."""
    known = {key for product in products for key in (product.id, product.name, product.stem)}
    missing = [wanted for wanted in query.product_ids if not known & {wanted, wanted[:-5]}]
    if len(missing) > len(products.unusable):
        message = (
            f"{_WHAT}: not listed: {', '.join(missing)}. Check the spelling, or whether the "
            "product was withdrawn or replaced by a newer baseline."
        )
        raise ProductNotFoundError(message)
