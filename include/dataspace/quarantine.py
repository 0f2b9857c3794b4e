"""Keeps products that were moved away instead of deleted, until they are old."""

from __future__ import annotations

import json
import posixpath
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dataspace.errors import UNREADABLE
from dataspace.layout import archive_path, bands_dir
from dataspace.stac_item import ITEM_NAME, delivery_of
from dataspace.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataspace.product import Product
    from dataspace.store import Store

_DIR: Final = "quarantine"
_SINCE: Final = "dataspace:quarantined"
"""Since when an item is here."""
_AHEAD: Final = timedelta(days=1)
"""An instant later than so long from now was noted by a clock that was wrong."""


def put(store: Store, product: Product, now: datetime) -> str:
    """Move a product here, its item last, which says since when; return its folder."""
    folder = bands_dir(product)
    if store.size(archive_path(product)) is not None:
        store.move(archive_path(product), f"{_DIR}/{archive_path(product)}")
    for name in item_last(store, folder):
        if name == ITEM_NAME:
            _note(store, f"{_DIR}/{folder}/{name}", store.read(f"{folder}/{name}"), now)
        else:
            store.move(f"{folder}/{name}", f"{_DIR}/{folder}/{name}")
    store.delete(folder)
    return f"{_DIR}/{folder}"


def item_last(store: Store, folder: str) -> list[str]:
    """Return the names of a folder's files; as long as the item stands the product is held."""
    return sorted(store.sizes(folder), key=lambda name: name == ITEM_NAME)


def prune(store: Store, ingest: str, before: datetime, now: datetime) -> Iterator[str]:
    """Remove for good what an ingest has wanted and is here since before an instant; give names.

    What does not say since when it is here, as of earlier versions, counts from now on.
    """
    for path, found in store.listing(_DIR).items():
        is_item = posixpath.basename(path) == ITEM_NAME
        is_fresh = found.written is not None and before <= found.written <= now + _AHEAD
        if is_item and not is_fresh and _is_over(store, f"{_DIR}/{path}", ingest, before, now):
            folder = posixpath.dirname(path)
            kept_zip = f"archive/{folder.partition('/')[2]}.zip"
            store.delete(f"{_DIR}/{kept_zip}")
            store.delete(f"{_DIR}/{folder}")
            yield posixpath.basename(folder)


def _is_over(store: Store, path: str, ingest: str, before: datetime, now: datetime) -> bool:
    content = store.read(path)
    delivery = delivery_of(content)
    if delivery is None or ingest not in delivery.ingests:
        return False
    since = _since(content)
    if since is None or since > now + _AHEAD:
        _note(store, path, content, now)
        return False
    return since < before


def _since(content: bytes | None) -> datetime | None:
    try:
        return parse_instant(json.loads(content or b"")["properties"][_SINCE])
    except UNREADABLE:
        return None


def _note(store: Store, path: str, content: bytes | None, now: datetime) -> None:
    item: dict[str, Any] = json.loads(content or b"")
    item["properties"][_SINCE] = now.isoformat()
    store.write(path, json.dumps(item, indent=2).encode())
