"""What the Data Space holds, and what becomes of it: offered, changed, replaced, deleted."""

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
    """Raise ValueError if the service gives no such cause of a deletion."""
    if cause not in _CAUSES:
        raise ValueError(f"Unknown cause {cause!r}: {sorted(_CAUSES)}")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of a product: when, what, and its row by then."""

    moment: datetime
    kind: str
    row: Row


@dataclass(slots=True)
class Stock:
    """Products listed and deleted, and what became of them.

    ``rewritten`` holds, by id, what is made of rows instead.
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
        """Move a product to the deleted ones.

        Raises:
            KeyError: It is not offered.
        """
        row = Row(self.listed.remove(product_id), moment, cause)
        self.deleted.add(row)
        self.events.append(Event(moment, "deleted", row))

    def touch(self, product_ids: Iterable[str], moment: datetime) -> None:
        """Change nothing of rows but their date of modification.

        Raises:
            KeyError: A product is not offered.
        """
        for product_id in product_ids:
            product = self._offered(product_id)
            touched = replace(product.facts, touched=moment)
            self._modified(replace(product, facts=touched), moment)

    def exchange(self, product_id: str, moment: datetime, changes: dict[str, Any]) -> Product:
        """Offer other bytes under the same id and name.

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
