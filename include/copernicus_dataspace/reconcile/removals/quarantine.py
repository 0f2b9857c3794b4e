"""Removes for good what is long in quarantine.

Storage does not tell since when that is: a disk keeps the dates of files that are renamed. So a
night notes what it finds there, and counts from the first one that did. What was delivered and
moved there anew in the meantime has another item, and counts anew.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from copernicus_dataspace.errors import UNREADABLE
from copernicus_dataspace.models.time_range import parse_instant
from copernicus_dataspace.stac.item import ITEM_NAME, delivery_of
from copernicus_dataspace.storage.layout import QUARANTINED, reports_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from copernicus_dataspace.storage.store import Store

_NOTES: Final = "quarantine.json"
_AHEAD: Final = timedelta(days=365)
"""An instant later than so long from now was noted by a clock that was wrong; one that is nearer
may be right, and the clock of this host behind."""


@dataclass(frozen=True, slots=True)
class _Note:
    """Since when a product is there, and which: the version of its item, None where not noted."""

    since: datetime
    version: str | None

    @classmethod
    def of(cls, record: Any) -> Self:
        """Return what a night has noted; earlier versions only since when."""
        if isinstance(record, str):
            return cls(parse_instant(record), None)
        return cls(parse_instant(record["since"]), str(record["version"]))

    def to_json(self) -> dict[str, str | None]:
        return {"since": self.since.isoformat(), "version": self.version}


def prune(store: Store, ingest: str, before: datetime, now: datetime) -> Iterator[str]:
    """Remove the products that an ingest has wanted and were there before an instant; give names.

    Args:
        store: Holds them.
        ingest: Whose.
        before: What was there then is removed, with its kept zip.
        now: From which counts what was not noted yet.
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
        record = {item: note.to_json() for item, note in notes.items()}
        store.write(path, json.dumps(record, indent=1).encode())


def _note(noted: _Note | None, version: str, now: datetime) -> _Note:
    """Return the note of a product that is there, by what was noted and the version of its item."""
    if noted and noted.version in (None, version) and noted.since <= now + _AHEAD:
        return _Note(noted.since, version)
    return _Note(now, version)


def _read(store: Store, path: str) -> dict[str, _Note]:
    try:
        record = json.loads(store.read(path) or b"{}")
        return {str(item): _Note.of(note) for item, note in record.items()}
    except UNREADABLE:
        return {}


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
