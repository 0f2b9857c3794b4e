"""Changes what is held of single products: disowns damaged files, releases, retires.

Whoever calls has leased the product, see `leases`. May be killed at any line and run again: the
item goes last, and as long as it stands the next audit finds the product again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of, item_of, product_of
from copernicus_dataspace.storage.layout import QUARANTINED, archive_path, bands_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.stac.delivered_files import Delivery
    from copernicus_dataspace.storage.store import Store

KEEP: Final = "keep"
QUARANTINE: Final = "quarantine"
REMOVE: Final = "remove"
POLICIES: Final = (REMOVE, QUARANTINE, KEEP)
GONE_ALREADY: Final = "gone already"


def disown(store: Store, product: Product, names: Collection[str], now: datetime) -> None:
    """Take damaged files out of a product's item, so that they are fetched and replaced.

    The files stay until then: what is damaged may be all that is left.
    """
    _amend(store, product, lambda delivery: delivery.without(names), now)


def adopt(store: Store, product: Product, ingest: str, now: datetime) -> None:
    """Let a product's item name one more ingest that wants it."""

    def change(delivery: Delivery) -> Delivery:
        return replace(delivery, ingests=tuple(sorted({*delivery.ingests, ingest})))

    _amend(store, product, change, now)


def retire(
    store: Store, product: Product, others: Collection[str], policy: str, now: datetime
) -> str:
    """Take a product out of what is held; return what was done, in words.

    A product that other ingests want is left to them: the last one retires it.

    Args:
        store: Where it is held.
        product: Which one.
        others: Ids of the ingests that may want it still.
        policy: ``remove`` deletes it, ``quarantine`` moves it below ``quarantine/``, ``keep``
            leaves it where it is.
        now: For the item's ``updated``.

    Raises:
        ConfigurationError: The policy is none of these.
        StorageRefusedError: The store cannot be written, or one of its like, which may pass; the
            item stands as long as anything does.
    """
    if policy not in POLICIES:
        message = f"policy {policy!r} is unknown; write {', '.join(POLICIES)}."
        raise ConfigurationError(message)
    delivery = _delivery(store, product)
    if policy == KEEP or delivery is None:
        return "kept" if delivery else GONE_ALREADY
    left = release(store, product, others, now)
    if left:
        return left
    if policy == QUARANTINE:
        _move(store, product)
        return f"moved to {QUARANTINED}/{bands_dir(product)}"
    _delete(store, product)
    return "removed"


def release(store: Store, product: Product, others: Collection[str], now: datetime) -> str:
    """Leave a product to the other ingests that want it; return so in words, empty for none."""
    delivery = _delivery(store, product)
    wanting = sorted({*delivery.ingests} & {*others}) if delivery else []
    if not wanting:
        return ""
    _amend(store, product, lambda one: replace(one, ingests=tuple(wanting)), now)
    return f"left to {', '.join(wanting)}"


def _delivery(store: Store, product: Product) -> Delivery | None:
    return delivery_of(store.read(f"{bands_dir(product)}/{ITEM_NAME}"))


def _amend(
    store: Store, product: Product, change: Callable[[Delivery], Delivery], now: datetime
) -> None:
    path = f"{bands_dir(product)}/{ITEM_NAME}"
    content = store.read(path)
    delivery = delivery_of(content)
    if content is None or delivery is None:
        return
    changed = change(delivery)
    if changed != delivery:
        store.write(path, item_of(changed, product_of(content), now))


def _move(store: Store, product: Product) -> None:
    folder = bands_dir(product)
    if store.size(archive_path(product)) is not None:
        store.move(archive_path(product), f"{QUARANTINED}/{archive_path(product)}")
    for name in _item_last(store, folder):
        store.move(f"{folder}/{name}", f"{QUARANTINED}/{folder}/{name}")
    store.delete(folder)


def _delete(store: Store, product: Product) -> None:
    folder = bands_dir(product)
    store.delete(archive_path(product))
    for name in _item_last(store, folder):
        store.delete(f"{folder}/{name}")
    store.delete(folder)


def _item_last(store: Store, folder: str) -> list[str]:
    return sorted(store.sizes(folder), key=lambda name: name == ITEM_NAME)
