"""Rows of the catalogue, of listed and deleted products, with their visibility over time."""

import bisect
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter

from copernicus_dataspace_emulator.products.product import Product


@dataclass(frozen=True, slots=True)
class Row:
    """A product in an entity set; ``deleted`` and ``cause`` are set for deleted ones."""

    product: Product
    deleted: datetime | None = None
    cause: str = ""

    def date(self, name: str) -> datetime | None:
        """Return the date of an OData field; None if this entity set does not have it."""
        facts = self.product.facts
        dates = {
            "PublicationDate": facts.published,
            "ModificationDate": facts.modified,
            "OriginDate": facts.origin,
            "DeletionDate": self.deleted,
        }
        return dates.get(name, facts.sensed)

    def text(self, name: str) -> str:
        """The value of a text field."""
        return self.product.name if name == "Name" else self.cause


_sensed = attrgetter("product.facts.sensed")


@dataclass(slots=True)
class Rows:
    """Rows indexed by sensing time, id and name; safe to change while it is read."""

    version: int = 0
    _sorted: list[Row] = field(default_factory=list)
    _by_id: dict[str, Row] = field(default_factory=dict)
    _by_name: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, row: Row) -> None:
        """Add a row.

        Raises:
            ValueError: The product exists already.
        """
        with self._lock:
            if row.product.id in self._by_id:
                raise ValueError(f"{row.product.name} is listed already")
            self._put(row)

    def replace(self, row: Row) -> None:
        """Replace the row of the same product id.

        Raises:
            KeyError: It does not exist.
        """
        with self._lock:
            self._take(row.product.id)
            self._put(row)

    def remove(self, product_id: str) -> Product:
        """Remove a row; return its product.

        Raises:
            KeyError: It does not exist.
        """
        with self._lock:
            return self._take(product_id).product

    def _put(self, row: Row) -> None:
        self._by_id[row.product.id] = row
        self._by_name[row.product.name].append(row)
        bisect.insort(self._sorted, row, key=_sensed)
        self.version += 1

    def _take(self, product_id: str) -> Row:
        row = self._by_id.pop(product_id)
        self._sorted.remove(row)
        self._by_name[row.product.name].remove(row)
        self.version += 1
        return row

    def find(self, product_id: str) -> Row | None:
        """The row of a product id."""
        return self._by_id.get(product_id)

    def named(self, name: str) -> list[Row]:
        """The rows of a product name, which need not be unique, in order of arrival."""
        with self._lock:
            return list(self._by_name.get(name, ()))

    def all(self) -> list[Row]:
        """Every row, in order of sensing."""
        with self._lock:
            return list(self._sorted)

    def between(self, earliest: datetime, latest: datetime) -> list[Row]:
        """Rows sensed within ``[earliest, latest]``, in order of sensing."""
        with self._lock:
            start = bisect.bisect_left(self._sorted, earliest, key=_sensed)
            stop = bisect.bisect_right(self._sorted, latest, key=_sensed)
            return self._sorted[start:stop]
