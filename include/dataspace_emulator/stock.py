"""What the Data Space holds, and what becomes of it: offered, changed, replaced, deleted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from dataspace_emulator import facts
from dataspace_emulator.product import Product
from dataspace_emulator.rows import Row, Rows

_CAUSES: Final = frozenset(
    {"Duplicated product", "Missing checksum", "Corrupted product", "Obsolete product", "Other"}
)


def check_cause(cause: str) -> None:
    """Raise ValueError if the service gives no such cause of a deletion."""
    if cause not in _CAUSES:
        raise ValueError(f"Unknown cause {cause!r}: {sorted(_CAUSES)}")


@dataclass(slots=True)
class Stock:
    """Products listed and deleted; ``rewritten`` holds, by id, what is made of rows instead."""

    listed: Rows = field(default_factory=Rows)
    deleted: Rows = field(default_factory=Rows)
    rewritten: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def add(self, product: Product) -> Product:
        """Offer a product."""
        self.listed.add(Row(product))
        return product

    def remove(self, product_id: str, cause: str, moment: datetime) -> None:
        """Move a product to the deleted ones.

        Raises:
            KeyError: It is not offered.
        """
        self.deleted.add(Row(self.listed.remove(product_id), moment, cause))

    def touch(self, product_ids: Iterable[str], moment: datetime) -> None:
        """Change nothing of rows but their date of modification.

        Raises:
            KeyError: A product is not offered.
        """
        for product_id in product_ids:
            product = self._offered(product_id)
            touched = replace(product.facts, touched=moment)
            self.listed.replace(Row(replace(product, facts=touched)))

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
        self.listed.replace(Row(product))
        return product

    def _offered(self, product_id: str) -> Product:
        row = self.listed.find(product_id)
        if row is None:
            raise KeyError(product_id)
        return row.product
