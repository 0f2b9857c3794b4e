"""Removes for good what is long in quarantine.

Storage does not tell since when that is: a disk keeps the dates of files that are renamed. So a
night notes what it finds there, and counts from the first one that did.
"""

from __future__ import annotations

import json
import posixpath
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from dataspace.errors import UNREADABLE
from dataspace.layout import QUARANTINED, reports_dir
from dataspace.stac_item import ITEM_NAME, delivery_of
from dataspace.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from dataspace.store import Store

_NOTES: Final = "quarantine.json"
_AHEAD: Final = timedelta(days=1)
"""An instant later than so long from now was noted by a clock that was wrong."""


def prune(store: Store, ingest: str, before: datetime, now: datetime) -> Iterator[str]:
    """Remove the products that an ingest has wanted and were there before an instant; give names.

    Args:
        store: Holds them.
        ingest: Whose.
        before: What was there then is removed, with its kept zip.
        now: From which counts what was not noted yet.
    """
    path = f"{reports_dir(ingest)}/{_NOTES}"
    noted = _read(store, path, now)
    found = [one for one in store.sizes(QUARANTINED) if posixpath.basename(one) == ITEM_NAME]
    since = {item: noted.get(item, now) for item in found}
    for item in found:
        if since[item] < before and _is_wanted_by(store, item, ingest):
            _remove(store, posixpath.dirname(item))
            del since[item]
            yield posixpath.basename(posixpath.dirname(item))
    if since != noted:
        record = {item: instant.isoformat() for item, instant in since.items()}
        store.write(path, json.dumps(record, indent=1).encode())


def _read(store: Store, path: str, now: datetime) -> dict[str, datetime]:
    try:
        record = json.loads(store.read(path) or b"{}")
        noted = {str(item): parse_instant(instant) for item, instant in record.items()}
    except UNREADABLE:
        return {}
    return {item: instant for item, instant in noted.items() if instant <= now + _AHEAD}


def _is_wanted_by(store: Store, item: str, ingest: str) -> bool:
    delivery = delivery_of(store.read(f"{QUARANTINED}/{item}"))
    return delivery is not None and ingest in delivery.ingests


def _remove(store: Store, folder: str) -> None:
    """Remove a product, its item last, which names it to the next night."""
    store.delete(f"{QUARANTINED}/archive/{folder.partition('/')[2]}.zip")
    names = store.sizes(f"{QUARANTINED}/{folder}")
    for name in sorted(names, key=lambda name: name == ITEM_NAME):
        store.delete(f"{QUARANTINED}/{folder}/{name}")
    store.delete(f"{QUARANTINED}/{folder}")
