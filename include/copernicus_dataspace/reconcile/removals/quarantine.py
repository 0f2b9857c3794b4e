"""Deletes products that have been in quarantine for long.

Storage does not record since when: renamed files keep their dates. So each nightly run records what
it finds there, and the time counts from the first run that found it. A product that was delivered
and quarantined again has another item, and the time starts again.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from copernicus_dataspace.json_records import Instant, read_json_or, write_json
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import QUARANTINED, reports_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from copernicus_dataspace.storage.store import Store

_NOTES: Final = "quarantine.json"
_AHEAD: Final = timedelta(days=365)
"""Instants further ahead come from a wrong clock; with nearer ones this clock may be behind."""


@dataclass(frozen=True, slots=True)
class _Note:
    """Since when a product is in quarantine, and the version of its item, None if not recorded."""

    since: Instant
    version: str | None


def prune(store: Store, ingest: str, before: datetime, now: datetime) -> Iterator[str]:
    """Delete an ingest's products that were in quarantine before an instant; yield their names.

    Args:
        store: The archive.
        ingest: Name of the ingest.
        before: Products quarantined before are deleted, with their kept zips.
        now: Start time for products that are not recorded yet.
    """
    path = f"{reports_dir(ingest)}/{_NOTES}"
    noted = _read(store, path)
    notes = {
        item: _note(noted.get(item), found.version, now)
        for item, found in store.listing(QUARANTINED).items()
        if posixpath.basename(item) == ITEM_NAME
    }
    for item in [*notes]:
        if notes[item].since < before and _is_wanted_by(store, item, ingest):
            _remove(store, posixpath.dirname(item))
            del notes[item]
            yield posixpath.basename(posixpath.dirname(item))
    if notes != noted:
        store.write(path, write_json(notes, indent=1))


def _note(noted: _Note | None, version: str, now: datetime) -> _Note:
    """Return the note of a product in quarantine: the stored one if it is still valid."""
    if noted and noted.version in (None, version) and noted.since <= now + _AHEAD:
        return _Note(noted.since, version)
    return _Note(now, version)


def _read(store: Store, path: str) -> dict[str, _Note]:
    """Return the stored notes; earlier versions have only the times."""
    stored: dict[str, _Note | datetime] = read_json_or(
        store.read(path), dict[str, _Note | Instant], {}
    )
    return {
        item: note if isinstance(note, _Note) else _Note(note, None)
        for item, note in stored.items()
    }


def _is_wanted_by(store: Store, item: str, ingest: str) -> bool:
    delivery = delivery_of(store.read(f"{QUARANTINED}/{item}"))
    return delivery is not None and ingest in delivery.ingests


def _remove(store: Store, folder: str) -> None:
    """Delete a product, its item last, so that the next run finds it if this one is killed."""
    store.delete(f"{QUARANTINED}/archive/{folder.partition('/')[2]}.zip")
    names = store.sizes(f"{QUARANTINED}/{folder}")
    for name in sorted(names, key=lambda name: name == ITEM_NAME):
        store.delete(f"{QUARANTINED}/{folder}/{name}")
    store.delete(f"{QUARANTINED}/{folder}")
