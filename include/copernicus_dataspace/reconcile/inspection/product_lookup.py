"""Asks the catalogue, by few requests, what an ingest should hold of many days."""

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
"""Rows that are not wanted, but cost no more than a request of their own for what lies beyond."""

_FEW: Final = 10
_AT_ONCE: Final = 50
"""As many ids as one request takes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the catalogue says of some days.

    Attributes:
        listed: All products it lists; as they are held, where their rows could not be used.
        deleted: Why products were deleted, by id; only those in doubt.
        notes: What could not be asked or read.
        unusable: Rows of which no product could be made; not those of deleted products.
    """

    listed: list[Product]
    deleted: Mapping[str, Deletion]
    notes: tuple[str, ...] = ()
    unusable: tuple[UnusableRow, ...] = ()


class ProductLookup:
    """Puts the questions of one ingest."""

    def __init__(self, catalogue: Catalogue, query: Query) -> None:
        """Use the ingest's filters; the days of the query do not count."""
        self._catalogue = catalogue
        self._query = query

    def ask(self, days: Sequence[date], held: Sequence[Product]) -> LookupResult:
        """Ask for all that was sensed on some days, a request for each thousand products.

        Args:
            days: In order; days between them that are not wanted are asked for, too, where they are
                so few that this costs less than a request for each part.
            held: What is held: where it is not listed, it is asked whether it was deleted.

        Raises:
            DataSpaceError: The catalogue cannot be asked in full.
            ServiceUnavailableError: Most of what is held is unknown to it all of a sudden.
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
            logger.warning("The archive is compared without it: %s", note)
            return LookupResult(listed, {}, (note,), found.unusable)
        self._check_known([one.id for one in doubtful if one.id not in deleted], len(held))
        return LookupResult(listed, deleted, _notes(deleted), found.unusable)

    def _listed(self, days: Sequence[date], held: int) -> Products:
        """Return what is listed of some days; how much is held of them tells how many are near."""
        a_day = max(1.0, held / len(days))
        windows, wanted = spans(days, gap=int(_MORE_ROWS / a_day)), set(days)
        answers = [self._catalogue.search(replace(self._query, sensed=one)) for one in windows]
        return Products(
            (one for answer in answers for one in answer if one.sensed.date() in wanted),
            dict.fromkeys(row for answer in answers for row in answer.unusable),
        )

    def _about(self, doubtful: Sequence[Product]) -> Query:
        """Return what asks for some products by one request, or for all of their days."""
        if len(doubtful) <= _AT_ONCE:
            return Query(sensed=MISSION, product_ids=tuple(one.id for one in doubtful))
        days = [product.sensed.date() for product in doubtful]
        return replace(self._query, sensed=Window.of_days(min(days), max(days)))

    def _check_known(self, ids: Sequence[str], held: int) -> None:
        """Refuse an answer that knows next to nothing of what is held, by whatever filters."""
        if len(ids) <= max(_FEW, held / 2) or self.still_listed(ids[:_AT_ONCE]):
            return
        message = (
            f"catalogue: of {held} products that are held, {len(ids)} are neither listed nor "
            "deleted; its answer is taken for incomplete, and nothing is changed."
        )
        raise ServiceUnavailableError(message)

    def still_listed(self, ids: Collection[str]) -> set[str]:
        """Return which of some product ids the catalogue lists; none of those that are no UUID."""
        asked = tuple(filter(is_id, ids))
        if not asked:
            return set()
        query = Query(sensed=MISSION, product_ids=asked)
        return {product.id for product in self._catalogue.find(query)}


def _notes(deleted: Deletions) -> tuple[str, ...]:
    return tuple(f"in the list of deleted products, left out: {row}" for row in deleted.unusable)
