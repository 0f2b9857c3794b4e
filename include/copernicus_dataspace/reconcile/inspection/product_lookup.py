"""Queries the catalogue for the products an ingest should hold, with few requests."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.catalogue.query import MISSION, Query, is_id
from copernicus_dataspace.catalogue.search import Products
from copernicus_dataspace.errors import PermanentError, ServiceUnavailableError
from copernicus_dataspace.models.time_range import Window, spans

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from copernicus_dataspace.catalogue.odata_rows import UnusableRow
    from copernicus_dataspace.catalogue.search import Catalogue, Deletion, Deletions
    from copernicus_dataspace.models.product import Product

_MORE_ROWS: Final = 1000
"""Unwanted rows that cost no more than a separate request for the days after a gap."""

_FEW: Final = 10
_AT_ONCE: Final = 50
"""Maximum number of ids per request."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The catalogue's products of some days.

    Attributes:
        listed: All listed products; those with unusable rows as they are held.
        deleted: Deletions of held products that are not listed, by id.
        notes: What could not be queried or read.
        unusable: Unusable rows, without those of deleted products.
    """

    listed: list[Product]
    deleted: Mapping[str, Deletion]
    notes: tuple[str, ...] = ()
    unusable: tuple[UnusableRow, ...] = ()


class ProductLookup:
    """Catalogue queries of one ingest."""

    def __init__(self, catalogue: Catalogue, query: Query) -> None:
        """Use the ingest's filters; the days of the query are ignored."""
        self._catalogue = catalogue
        self._query = query

    def ask(self, days: Sequence[date], held: Sequence[Product]) -> LookupResult:
        """Query all products sensed on some days, with a request per thousand products.

        Args:
            days: In order; short gaps between them are queried too if that saves requests.
            held: Held products; for those that are not listed, the list of deleted products is
                queried.

        Raises:
            DataSpaceError: The catalogue cannot be queried completely.
            ServiceUnavailableError: Most of the held products are suddenly unknown to it.
        """
        found = self._listed(days, len(held))
        ids = {product.id for product in found}
        unlisted = [product for product in held if product.id not in ids]
        odd = {text for row in found.unusable for text in (row.id.lower(), row.name)}
        listed = [*found, *(one for one in unlisted if odd & {one.id, one.name})]
        doubtful = [one for one in unlisted if not odd & {one.id, one.name} and is_id(one.id)]
        if not doubtful:
            return LookupResult(listed, {}, unusable=found.unusable)
        try:
            deleted = self._catalogue.deleted(self._about(doubtful))
        except PermanentError as error:
            note = f"the list of deleted products could not be read: {error}"
            logger.warning("Continuing without the list of deleted products: %s", note)
            return LookupResult(listed, {}, (note,), found.unusable)
        self._check_known([one.id for one in doubtful if one.id not in deleted], len(held))
        return LookupResult(listed, deleted, _notes(deleted), found.unusable)

    def _listed(self, days: Sequence[date], held: int) -> Products:
        """Return the listed products of some days; short gaps are queried too, by held products."""
        a_day = max(1.0, held / len(days))
        windows, wanted = spans(days, gap=int(_MORE_ROWS / a_day)), set(days)
        answers = [self._catalogue.search(replace(self._query, sensed=one)) for one in windows]
        return Products(
            (one for answer in answers for one in answer if one.sensed.date() in wanted),
            dict.fromkeys(row for answer in answers for row in answer.unusable),
        )

    def _about(self, doubtful: Sequence[Product]) -> Query:
        """Return a query for some products in one request, or for all of their days."""
        if len(doubtful) <= _AT_ONCE:
            return Query(sensed=MISSION, product_ids=tuple(one.id for one in doubtful))
        days = [product.sensed.date() for product in doubtful]
        return replace(self._query, sensed=Window.of_days(min(days), max(days)))

    def _check_known(self, ids: Sequence[str], held: int) -> None:
        """Refuse a response that lacks most of the held products, whatever the filters."""
        if len(ids) <= max(_FEW, held / 2) or self.still_listed(ids[:_AT_ONCE]):
            return
        message = (
            f"catalogue: {len(ids)} of {held} held products are neither listed nor deleted; the "
            "response is considered incomplete, and nothing is changed."
        )
        raise ServiceUnavailableError(message)

    def still_listed(self, ids: Collection[str]) -> set[str]:
        """Return which of some product ids the catalogue lists; ids must be UUIDs."""
        asked = tuple(filter(is_id, ids))
        if not asked:
            return set()
        query = Query(sensed=MISSION, product_ids=asked)
        return {product.id for product in self._catalogue.find(query)}


def _notes(deleted: Deletions) -> tuple[str, ...]:
    return tuple(f"unusable row in the list of deleted products: {row}" for row in deleted.unusable)
