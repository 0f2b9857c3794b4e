"""STAC searches and their pages: newest first, as in pgstac, or in the requested order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely

from copernicus_dataspace_emulator.holdings.rows import Row, Rows
from copernicus_dataspace_emulator.stac.cql import Test
from copernicus_dataspace_emulator.stac.fields import Fields
from copernicus_dataspace_emulator.stac.item import COLLECTIONS, Item


class InvalidSearchError(Exception):
    """Raised for an invalid search; the text says why."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search; None means any.

    ``order`` is a list of properties, each with a flag for descending.
    """

    ids: tuple[str, ...] | None
    collections: tuple[str, ...] | None
    area: shapely.Geometry | None
    earliest: datetime
    latest: datetime
    limit: int
    token: str
    fields: Fields
    test: Test | None
    order: tuple[tuple[str, bool], ...]

    def page(self, rows: Rows, now: datetime, item: Callable[[Row], Item]) -> tuple[list[Row], str]:
        """Rows of one page, and the token of the next one; empty if there is none.

        Raises:
            InvalidSearchError: The token is invalid.
        """
        found = self._ordered(self._found(rows, now, item), item)
        start = 0
        if self.token:
            tokens = [token(row) for row in found]
            if self.token not in tokens:
                raise InvalidSearchError(f"Token {self.token!r} is not valid")
            start = tokens.index(self.token) + 1
        stop = start + self.limit
        page = found[start:stop]
        return page, token(page[-1]) if stop < len(found) and page else ""

    def _found(self, rows: Rows, now: datetime, item: Callable[[Row], Item]) -> list[Row]:
        if self.ids is not None:
            names = dict.fromkeys(f"{name}.SAFE" for name in self.ids)
            candidates = [row for name in names for row in rows.named(name)]
        else:
            candidates = rows.between(self.earliest, self.latest)
        latest = {row.product.name: row for row in candidates if listed(row, now)}
        test = self.test
        return [
            row
            for row in latest.values()
            if self._fits(row) and (test is None or test(item(row).value) is True)
        ]

    def _ordered(self, rows: list[Row], item: Callable[[Row], Item]) -> list[Row]:
        """Rows in the requested order; missing values last."""
        found = sorted(rows, key=_newest, reverse=True)
        for name, descending in reversed(self.order):
            values = {row.product.id: item(row).value(name) for row in found}
            found = _by(values, found, descending=descending)
        return found

    def _fits(self, row: Row) -> bool:
        facts = row.product.facts
        wanted = self.collections is None or COLLECTIONS[facts.level] in self.collections
        if not wanted or not self.earliest <= facts.sensed <= self.latest:
            return False
        return self.area is None or bool(row.product.geometry.intersects(self.area))


def listed(row: Row, now: datetime) -> bool:
    """Tell whether STAC lists a product."""
    facts = row.product.facts
    return facts.published <= now and facts.stac != "absent"


def token(row: Row) -> str:
    """The token of the page after this row."""
    collection = COLLECTIONS[row.product.facts.level]
    return f"next:{collection}:{row.product.name.removesuffix('.SAFE')}"


def _by(values: Mapping[str, Any], rows: list[Row], *, descending: bool) -> list[Row]:
    """Sort rows by value (stable), missing values last."""
    there = [row for row in rows if values[row.product.id] is not None]
    there.sort(key=lambda row: _key(values[row.product.id]), reverse=descending)
    return [*there, *(row for row in rows if values[row.product.id] is None)]


def _key(value: Any) -> Any:
    """Sort key of a value; different types are compared as text."""
    return value if isinstance(value, int | float | datetime) else str(value)


def _newest(row: Row) -> tuple[datetime, str]:
    return row.product.facts.sensed, row.product.name
