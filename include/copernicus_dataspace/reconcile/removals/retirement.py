"""Changes to single products in the archive: mark files as damaged, adopt, release, retire.

The caller has leased the product, see `storage.leases`. Safe to kill and run again: the item is
removed last, and as long as it exists the next inspection finds the product.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.models.product_state import RemovalPolicy, StateAfterRepair
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of, item_of, product_of
from copernicus_dataspace.storage.layout import QUARANTINED, bands_dir, kept_zip_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from copernicus_dataspace.models.product import Product
    from copernicus_dataspace.stac.delivered_files import Delivery
    from copernicus_dataspace.storage.store import Store


@dataclass(frozen=True, slots=True)
class Retirement:
    """What became of a product.

    Attributes:
        action: What was done, as text.
        now: ``GONE`` if the ingest no longer has the product, ``KEPT`` if nothing was done.
    """

    action: str
    now: StateAfterRepair


GONE_ALREADY: Final = Retirement("already removed", StateAfterRepair.GONE)


def disown(store: Store, product: Product, names: Collection[str], now: datetime) -> None:
    """Remove damaged files from a product's item, so that they are downloaded again.

    The files themselves are kept until they are replaced.
    """
    _amend(store, product, lambda delivery: delivery.without(names), now)


def adopt(store: Store, product: Product, ingest: str, now: datetime) -> None:
    """Add an ingest to those that a product's item names."""

    def change(delivery: Delivery) -> Delivery:
        return replace(delivery, ingests=tuple(sorted({*delivery.ingests, ingest})))

    _amend(store, product, change, now)


def retire(
    store: Store, product: Product, others: Collection[str], policy: RemovalPolicy, now: datetime
) -> Retirement:
    """Remove a product from the archive by a policy; return what was done.

    A product that other ingests want is released to them; the last one removes it.

    Args:
        store: The archive.
        product: The product.
        others: Names of other ingests that may want it.
        policy: Whether it is deleted, moved below ``quarantine/``, or kept.
        now: Time for the item's ``updated``.

    Raises:
        ValueError: The policy is unknown; nothing is changed.
        StorageRefusedError: The store cannot be written (or another storage error); the item
            exists as long as any file does.
    """
    policy = RemovalPolicy(policy)
    if _delivery(store, product) is None:
        return GONE_ALREADY
    if policy == RemovalPolicy.KEEP:
        return Retirement("kept", StateAfterRepair.KEPT)
    released = release(store, product, others, now)
    if released:
        return released
    if policy == RemovalPolicy.QUARANTINE:
        _move(store, product)
        return Retirement(f"moved to {QUARANTINED}/{bands_dir(product)}", StateAfterRepair.GONE)
    _delete(store, product)
    return Retirement("removed", StateAfterRepair.GONE)


def release(
    store: Store, product: Product, others: Collection[str], now: datetime
) -> Retirement | None:
    """Release a product to the other ingests that want it; return None if none does."""
    delivery = _delivery(store, product)
    wanting = sorted({*delivery.ingests} & {*others}) if delivery else []
    if not wanting:
        return None
    _amend(store, product, lambda one: replace(one, ingests=tuple(wanting)), now)
    return Retirement(f"released to {', '.join(wanting)}", StateAfterRepair.GONE)


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
    if store.size(kept_zip_path(product)) is not None:
        store.move(kept_zip_path(product), f"{QUARANTINED}/{kept_zip_path(product)}")
    for name in _item_last(store, folder):
        store.move(f"{folder}/{name}", f"{QUARANTINED}/{folder}/{name}")
    store.delete(folder)


def _delete(store: Store, product: Product) -> None:
    folder = bands_dir(product)
    store.delete(kept_zip_path(product))
    for name in _item_last(store, folder):
        store.delete(f"{folder}/{name}")
    store.delete(folder)


def _item_last(store: Store, folder: str) -> list[str]:
    return sorted(store.sizes(folder), key=lambda name: name == ITEM_NAME)
