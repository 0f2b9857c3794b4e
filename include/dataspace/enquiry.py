"""Asks the catalogue, by few requests, what an ingest should hold of many days."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dataspace.catalogue import Products
from dataspace.errors import PermanentError, ServiceUnavailableError
from dataspace.query import MISSION, Query
from dataspace.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from dataspace.catalogue import Catalogue, Deletion, Deletions
    from dataspace.chronicle import Survey
    from dataspace.product import Product
    from dataspace.rows import UnusableRow

BY_SENSING: Final = "sensing"
BY_PUBLICATION: Final = "publication"

_OVERLAP: Final = timedelta(days=3)
"""Products begin to be listed not quite in the order of their publication dates."""

_FEW: Final = 10
_SAMPLE: Final = 50
"""As many ids as one request takes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the catalogue says of some days.

    Attributes:
        by: How it was asked, `BY_SENSING` or `BY_PUBLICATION`.
        listed: All products it lists.
        deleted: Why products were deleted, by id; only those in doubt.
        notes: What could not be asked or read.
        unusable: Rows of which no product could be made; not those of deleted products.
    """

    by: str
    listed: list[Product]
    deleted: Mapping[str, Deletion]
    notes: tuple[str, ...] = ()
    unusable: tuple[UnusableRow, ...] = ()


class Enquiry:
    """Puts the questions of one ingest."""

    def __init__(self, catalogue: Catalogue, query: Query, versions: str) -> None:
        """Use the ingest's filters; the days of the query do not count."""
        self._catalogue = catalogue
        self._query = query
        self._versions = versions

    @property
    def question(self) -> str:
        """What tells the filters from others: an answer to others is of no use."""
        asked = "\n".join((self._versions, *self._query.filters(MISSION)))
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def by_sensing(self, days: Sequence[date], held: Sequence[Product]) -> Answer:
        """Ask for all that was sensed on some days, a request for each thousand products.

        Args:
            days: In order; days between them that are not asked for cost a request of their own.
            held: What is held: where it is not listed, it is asked whether it was deleted.

        Raises:
            DataSpaceError: The catalogue cannot be asked in full.
            ServiceUnavailableError: Most of what is held is unknown to it all of a sudden.
        """
        found = self._listed(days)
        odd, odd_ids = found.unusable, {row.id for row in found.unusable}
        listed = [*found, *(one for one in held if one.id in odd_ids)]
        ids = {product.id for product in listed}
        doubtful = [product for product in held if product.id not in ids]
        if not doubtful:
            return Answer(BY_SENSING, listed, {}, unusable=odd)
        try:
            deleted = self._deleted(_around(doubtful), None)
        except PermanentError as error:
            note = f"the list of deleted products could not be read: {error}"
            logger.warning("The archive is compared without it: %s", note)
            return Answer(BY_SENSING, listed, {}, (note,), odd)
        self._check_known([one.id for one in doubtful if one.id not in deleted], len(held))
        return Answer(BY_SENSING, listed, deleted, _notes(deleted), odd)

    def by_publication(
        self, days: Sequence[date], held: Sequence[Product], known: Survey
    ) -> Answer:
        """Ask for what was published and what was deleted since all days were last looked at.

        What is held and not deleted is taken for listed, but for what was not listed then. The days
        of what was deleted, and of what was not to be had then, are asked for in full.

        Raises:
            DataSpaceError: The catalogue cannot be asked in full, or not for what was deleted.
        """
        since = Window(known.at - _OVERLAP, MISSION.end)
        sensed, looked_at = Window.of_days(days[0], days[-1]), set(days)
        deleted = self._deleted(sensed, since)
        new = self._catalogue.search(replace(self._query, sensed=sensed, published=since))
        doubtful = {one.sensed.date() for one in known.awaited}
        doubtful |= {one.sensed.date() for one in held if one.id in deleted}
        sure = (one for one in held if one.id not in known.unlisted)
        listed = {
            one.id: one
            for one in (*sure, *new)
            if one.sensed.date() in looked_at and one.sensed.date() not in doubtful
        }
        again = self._listed(sorted(doubtful & looked_at))
        odd = tuple(dict.fromkeys((*new.unusable, *again.unusable)))
        return Answer(BY_PUBLICATION, [*listed.values(), *again], deleted, _notes(deleted), odd)

    def _listed(self, days: Sequence[date]) -> Products:
        windows = _windows(days)
        answers = [self._catalogue.search(replace(self._query, sensed=one)) for one in windows]
        return Products(
            (product for answer in answers for product in answer),
            dict.fromkeys(row for answer in answers for row in answer.unusable),
        )

    def _check_known(self, ids: Sequence[str], held: int) -> None:
        """Refuse an answer that knows next to nothing of what is held, by whatever filters."""
        if len(ids) <= max(_FEW, held / 2) or self.still_listed(ids[:_SAMPLE]):
            return
        message = (
            f"catalogue: of {held} products that are held, {len(ids)} are neither listed nor "
            "deleted; its answer is taken for incomplete, and nothing is changed."
        )
        raise ServiceUnavailableError(message)

    def still_listed(self, ids: Collection[str]) -> set[str]:
        """Return which of some product ids the catalogue lists."""
        if not ids:
            return set()
        query = Query(sensed=MISSION, product_ids=tuple(ids))
        return {product.id for product in self._catalogue.find(query)}

    def _deleted(self, sensed: Window, when: Window | None) -> Deletions:
        return self._catalogue.deleted(replace(self._query, sensed=sensed, deleted=when))


def _notes(deleted: Deletions) -> tuple[str, ...]:
    return tuple(f"in the list of deleted products, left out: {row}" for row in deleted.unusable)


def _around(products: Iterable[Product]) -> Window:
    days = [product.sensed.date() for product in products]
    return Window.of_days(min(days), max(days))


def _windows(days: Sequence[date]) -> list[Window]:
    """Return the fewest windows that hold these days and no others."""
    windows: list[list[date]] = []
    for day in days:
        if windows and day - windows[-1][1] == timedelta(days=1):
            windows[-1][1] = day
        else:
            windows.append([day, day])
    return [Window.of_days(first, last) for first, last in windows]
