"""Searches the catalogue.

Unusable rows, see `odata_rows`, are skipped and reported; they do not affect the others.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from copernicus_dataspace.catalogue.odata_rows import UnusableRow, shortened
from copernicus_dataspace.catalogue.pagination import Pages
from copernicus_dataspace.catalogue.versions import choose
from copernicus_dataspace.errors import MissingPackageError, ProductNotFoundError
from copernicus_dataspace.models.product import Product

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.http.client import Http
    from copernicus_dataspace.limits.retry import RetryPolicy

logger = logging.getLogger(__name__)

_MOST_NAMED: Final = 20
"""Maximum number of rows named in the log."""

_MOST_COUNTED: Final = 100
"""Maximum number of excluded products that are counted, so that the response remains small."""

_WHAT: Final = "catalogue"
_PRODUCTS: Final = "Products"
_DELETED: Final = "DeletedProducts"


@dataclass(frozen=True, slots=True)
class Deletion:
    """Date and cause of a product's deletion, as in the catalogue."""

    date: str
    cause: str

    def __str__(self) -> str:
        return f"{self.date[:10]}: {self.cause}"


class FilteredOut(NamedTuple):
    """Numbers of products that a query excludes.

    Attributes:
        cloud_cover: By the cloud limit alone.
        tiles: By the tiles.
        is_complete: Whether all were counted; else there may be more.
    """

    cloud_cover: int
    tiles: int
    is_complete: bool


class Deletions(dict[str, Deletion]):
    """Deletions by product id.

    Attributes:
        unusable: Unusable rows of the result.
    """

    unusable: tuple[UnusableRow, ...] = ()


class Products(list[Product]):
    """The products found by a search.

    Attributes:
        unusable: Unusable rows of the result.
    """

    def __init__(self, products: Iterable[Product], unusable: Iterable[UnusableRow]) -> None:
        super().__init__(products)
        self.unusable = tuple(unusable)

    def of_versions(self, versions: str) -> Products:
        """Return the wanted versions of the products, see `versions.choose`.

        Raises:
            ConfigurationError: `versions` is neither ``latest`` nor ``all``.
        """
        return Products(choose(self, versions)[0], self.unusable)

    def to_dataframe(self, *, geometry: bool = False) -> pd.DataFrame:
        """Return one row per product.

        Args:
            geometry: Whether to return a GeoDataFrame with the footprints, in EPSG:4326.

        Raises:
            MissingPackageError: pandas or geopandas is not installed.
        """
        MissingPackageError.check("pandas", "dataframe", "a table of products")
        from copernicus_dataspace.catalogue.dataframe import to_frame  # noqa: PLC0415 - pandas

        return to_frame(self, geometry=geometry)


class Catalogue:
    """The OData catalogue; needs no account."""

    def __init__(self, http: Http, catalogue_url: str, retries: RetryPolicy) -> None:
        self._pages = Pages(http, catalogue_url, retries)

    def search(self, query: Query) -> Products:
        """Return all matching products, each id once, by start of sensing and name.

        Several may have the same name or acquisition, see `catalogue.versions`. Unusable rows are
        logged, and in `Products.unusable`.

        Raises:
            QueryError: The catalogue refused the query.
            ProductNotFoundError: A product requested by id or name is not listed.
            TransientError: A page is not available; results are never incomplete.
        """
        products = self.find(query)
        _check_all_named(query, products)
        return products

    def find(self, query: Query) -> Products:
        """As `search`, but without an error if products requested by id or name are not listed.

        Raises:
            QueryError: The catalogue refused the query.
            TransientError: A page is not available.
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
        _log_rows("are unusable and skipped", unusable)
        _log_rows("have invalid values that count as unknown", unknown)
        products = sorted(found.values(), key=lambda product: (product.sensed, product.name))
        return Products(products, unusable)

    def deleted(self, query: Query) -> Deletions:
        """Return the deletions of products that matched a query, by id.

        Cloud cover, publication date and online state are ignored. Unusable rows are logged, and
        in `Deletions.unusable`.

        Raises:
            DataSpaceError: The catalogue cannot be queried.
        """
        asked = replace(query, max_cloud_cover=None, published=None, online=None)
        found, unusable = Deletions(), dict[UnusableRow, None]()
        for (product, flaw, _), entity in self._pages.lines(_DELETED, asked):
            if product:
                date, cause = (entity.get(f"Deletion{field}") for field in ("Date", "Cause"))
                found[product.id] = Deletion(*(_words(value) for value in (date, cause)))
            elif flaw:
                unusable[flaw] = None
        _log_rows("of deleted products are unusable and skipped", unusable)
        found.unusable = tuple(unusable)
        return found

    def peek(self, query: Query) -> tuple[int, Product | None]:
        """Return the number of matching products, and the first, with one small request.

        Raises:
            DataSpaceError: The catalogue cannot be queried.
        """
        listed, rows = self._pages.first(_PRODUCTS, query, rows=1)
        return listed, next((row.product for row in rows if not row.unusable), None)

    def filtered_out(self, query: Query) -> FilteredOut | None:
        """Count the products that only the cloud limit or the tiles exclude, with one request.

        None if the query has no such filter. The tiles are a filter if there is also an area.

        Raises:
            DataSpaceError: The catalogue cannot be queried.
        """
        tiles = query.tiles if query.area else ()
        if query.product_ids or (query.max_cloud_cover is None and not tiles):
            return None
        wider = replace(query, max_cloud_cover=None, tiles=() if tiles else query.tiles)
        listed, rows = self._pages.first(_PRODUCTS, wider, rows=_MOST_COUNTED)
        found = [row.product for row in rows if row.product and wider.accepts(row.product)]
        elsewhere = [one for one in found if tiles and one.tile not in tiles]
        rejected = [one for one in found if not query.accepts(one)]
        is_complete = listed <= len(rows) and len(wider.filters(wider.sensed)) == 1
        return FilteredOut(len(rejected) - len(elsewhere), len(elsewhere), is_complete)


def _of_one_id(product: Product, first: Product) -> UnusableRow:
    day = product.sensed.date().isoformat()
    return UnusableRow(product.name, product.id, day, f"its Id is also that of {first.name}")


def _words(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() else shortened(value)


def _log_rows(what: str, named: Mapping[Any, None]) -> None:
    if named:
        few = "; ".join(map(str, [*named][:_MOST_NAMED]))
        logger.warning("%d rows of the catalogue %s: %s.", len(named), what, few)


def _check_all_named(query: Query, products: Products) -> None:
    """Refuse a result without some requested products, unless unusable rows may be those."""
    known = {key for product in products for key in (product.id, product.name, product.stem)}
    missing = [wanted for wanted in query.product_ids if not known & {wanted, wanted[:-5]}]
    if len(missing) > len(products.unusable):
        message = (
            f"{_WHAT}: not listed: {', '.join(missing)}. Check the spelling, or whether the "
            "product was withdrawn or replaced by a newer baseline."
        )
        raise ProductNotFoundError(message)
