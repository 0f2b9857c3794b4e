"""The registry of an output store: the settings of all ingests that write to it.

Each ingest registers itself when its DAG runs. The registry tells `sentinel2_reconcile` and the
report pages what an archive should hold, wherever the ingest is declared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.config.output_uri import Place
from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.json_records import read_json, read_json_or, write_json
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace.storage.layout import folder_name

if TYPE_CHECKING:
    from copernicus_dataspace.catalogue.query import Query
    from copernicus_dataspace.geometry.area import Area
    from copernicus_dataspace.storage.store import Store

FOLDER: Final = "ingests"
_MAX_AGE: Final = timedelta(days=1)
_RECORD: Final = ".json"
_AREA: Final = ".geojson"


@dataclass(frozen=True, slots=True)
class _Record:
    dag_id: str
    settings: dict[str, Any]
    area_sha256: str | None
    registered: datetime

    def ingest(self, output_uri: str) -> Ingest:
        return Ingest.of(self.dag_id, {**self.settings, "output_uri": output_uri}, None)


def read_ingest(store: Store, dag_id: str, output_uri: str) -> Ingest:
    """Read an ingest from the registry.

    Args:
        store: The output store.
        dag_id: The ingest.
        output_uri: URI of the store, which becomes the output of the ingest.

    Raises:
        ConfigurationError: The ingest is not registered, its record is damaged, or it has settings
            that this version does not know.
    """
    return _read(store, dag_id).ingest(output_uri)


def read_with_area(store: Store, dag_id: str, output_uri: str) -> tuple[Ingest, Area | None]:
    """Read an ingest as `read_ingest`, with its area at its last run; None if it has only tiles.

    Raises:
        ConfigurationError: As `read_ingest`, or the area is damaged.
    """
    record = _read(store, dag_id)
    return record.ingest(output_uri), _read_area(store, record)


def _read_area(store: Store, record: _Record) -> Area | None:
    from copernicus_dataspace.geometry.area import Area  # noqa: PLC0415 - shapely is slow to import

    dag_id = record.dag_id
    if record.area_sha256 is None:
        return None
    path = _path(dag_id, _AREA)
    content = store.read(path) or b""
    if hashlib.sha256(content).hexdigest() != record.area_sha256:
        raise _damaged(store, path, dag_id, "it is missing or was changed")
    try:
        return Area.of_geojson(content, name=str(record.settings.get("area")))
    except ValueError as error:
        raise _damaged(store, path, dag_id, error) from error


def register(store: Store, ingest: Ingest, area: Area | None) -> None:
    """Write an ingest to the registry, if its record is older than a day or has changed.

    Args:
        store: Store of the ingest's output.
        ingest: Its settings.
        area: Its area; None if it has only tiles.
    """
    content, path = area and area.to_geojson(), _path(ingest.dag_id, _RECORD)
    digest = hashlib.sha256(content).hexdigest() if content else None
    record = _Record(ingest.dag_id, {**ingest.declared}, digest, utc_now())
    earlier = read_json_or(store.read(path), _Record, None)
    if earlier and _is_current(earlier, record):
        return
    if content:
        store.write(_path(ingest.dag_id, _AREA), content)
    store.write(path, write_json(record, indent=1))


def register_run(store: Store, ingest: Ingest, *, output_uri: str, area: Any, query: Query) -> None:
    """Register the ingest of a run, unless the run is about something else.

    Args:
        store: Output of the run.
        ingest: Settings of the ingest.
        output_uri: URI of the run's output, which may be another one than that of the ingest.
        area: The param `area` of the run, likewise.
        query: Query of the run, with its area; it may select single products.
    """
    if query.product_ids or area != ingest.defaults["area"]:
        return
    if Place.of(output_uri) == Place.of(ingest.defaults["output_uri"]):
        register(store, ingest, query.area)


def registered_ingests(store: Store) -> frozenset[str]:
    """Return the DAG ids of all registered ingests."""
    names = (name for name in store.sizes(FOLDER) if name.endswith(_RECORD))
    return frozenset(unquote(name.removesuffix(_RECORD)) for name in names)


def registered_at(store: Store, dag_id: str) -> datetime:
    """Return the time of an ingest's registration; the earliest time if its record is damaged."""
    record = read_json_or(store.read(_path(dag_id, _RECORD)), _Record, None)
    return record.registered if record else datetime.min.replace(tzinfo=UTC)


def check_output_not_shared(store: Store, dag_id: str) -> None:
    """Check that no other ingest writes to the output of an ingest with `one_run_at_a_time`.

    Raises:
        ConfigurationError: Another ingest is registered.
    """
    others = sorted(registered_ingests(store) - {dag_id})
    if others:
        message = (
            f"one_run_at_a_time: this is also the output of {', '.join(others)}; give each ingest "
            "its own output. If an ingest no longer uses this one, delete its record in "
            f"{store.uri(FOLDER)}."
        )
        raise ConfigurationError(message)


def _is_current(earlier: _Record, record: _Record) -> bool:
    is_same = earlier == replace(record, registered=earlier.registered)
    return is_same and abs(record.registered - earlier.registered) < _MAX_AGE


def _read(store: Store, dag_id: str) -> _Record:
    path = _path(dag_id, _RECORD)
    content = store.read(path)
    if content is None:
        message = f"{dag_id} is not registered in {store.uri(FOLDER)}: run its DAG once."
        raise ConfigurationError(message)
    try:
        record = read_json(content, _Record)
    except ValueError as error:
        raise _damaged(store, path, dag_id, error) from error
    if record.dag_id != dag_id:
        raise _damaged(store, path, dag_id, f"it is about {record.dag_id!r}")
    return record


def _damaged(store: Store, path: str, dag_id: str, why: object) -> ConfigurationError:
    message = f"{store.uri(path)} is damaged ({why}): delete it, and run {dag_id} once."
    return ConfigurationError(message)


def _path(dag_id: str, suffix: str) -> str:
    return f"{FOLDER}/{folder_name(dag_id)}{suffix}"
