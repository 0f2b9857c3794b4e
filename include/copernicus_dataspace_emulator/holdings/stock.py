"""The products of the emulator, and their changes: offered, modified, replaced, deleted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from copernicus_dataspace_emulator.holdings.rows import Row, Rows
from copernicus_dataspace_emulator.products import facts
from copernicus_dataspace_emulator.products.product import Product

_CAUSES: Final = frozenset(
    {"Duplicated product", "Missing checksum", "Corrupted product", "Obsolete product", "Other"}
)


def check_cause(cause: str) -> None:
    """Raise ValueError if the service has no such cause of deletion."""
    if cause not in _CAUSES:
        raise ValueError(f"Unknown cause {cause!r}: {sorted(_CAUSES)}")


@dataclass(frozen=True, slots=True)
class Event:
    """A change of a product: time, kind, and the resulting row."""

    moment: datetime
    kind: str
    row: Row


@dataclass(slots=True)
class Stock:
    """Listed and deleted products, and their changes.

    ``rewritten`` maps ids to functions that modify the row.
    """

    listed: Rows = field(default_factory=Rows)
    deleted: Rows = field(default_factory=Rows)
    rewritten: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def add(self, product: Product) -> Product:
        """Offer a product."""
        self.listed.add(Row(product))
        return product

    def remove(self, product_id: str, cause: str, moment: datetime) -> None:
        """Delete a product.

        Raises:
            KeyError: It is not offered.
        """
        row = Row(self.listed.remove(product_id), moment, cause)
        self.deleted.add(row)
        self.events.append(Event(moment, "deleted", row))

    def touch(self, product_ids: Iterable[str], moment: datetime) -> None:
        """Change only the modification date of rows.

        Raises:
            KeyError: A product is not offered.
        """
        for product_id in product_ids:
            product = self._offered(product_id)
            touched = replace(product.facts, touched=moment)
            self._modified(replace(product, facts=touched), moment)

    def exchange(self, product_id: str, moment: datetime, changes: dict[str, Any]) -> Product:
        """Offer other files under the same id and name.

        Raises:
            KeyError: It is not offered.
            ValueError: It is a real zip, or would have another name.
        """
        old = self._offered(product_id)
        recipe = replace(old.recipe, **changes) if old.recipe else None
        if recipe is None or recipe.name != old.name:
            raise ValueError(f"{old.name} cannot be exchanged for what has another name")
        told = replace(facts.of_recipe(recipe), id=old.id, replaced=moment)
        product = Product(told, old.folder, recipe=recipe)
        self._modified(product, moment)
        return product

    def _modified(self, product: Product, moment: datetime) -> None:
        row = Row(product)
        self.listed.replace(row)
        self.events.append(Event(moment, "modified", row))

    def _offered(self, product_id: str) -> Product:
        row = self.listed.find(product_id)
        if row is None:
            raise KeyError(product_id)
        return row.product
