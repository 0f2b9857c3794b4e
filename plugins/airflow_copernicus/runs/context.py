"""Reads the context of a running task: its run, its sensing days, its output store."""

from __future__ import annotations

import difflib
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook, ObjectStoragePath

from airflow_copernicus.config.allowed_outputs import check_output_allowed
from airflow_copernicus.config.output_uri import Place
from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.config.setting_errors import reading, reading_params
from airflow_copernicus.hooks.connection import read_connection
from airflow_copernicus.hooks.copernicus import days_window
from copernicus_dataspace.catalogue.query import of_mission, sensing_day
from copernicus_dataspace.errors import ConfigurationError, MissingPackageError, QueryError
from copernicus_dataspace.models.time_range import Window, utc_now
from copernicus_dataspace.storage.failures import named
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ONE_DAY: Final = timedelta(days=1)
_BACKFILL: Final = "backfill"
_INTERVAL_RUNS: Final = ("scheduled", _BACKFILL)
_TRIGGERED: Final = "operator_triggered"
_CLOCK_SKEW: Final = timedelta(minutes=5)
"""Tolerated difference to the clock of the host that created a run."""

REPAIR_KEY: Final = "copernicus_repair"
"""Key in the configuration of runs triggered by `sentinel2_reconcile`: by ``YYYY-MM-DD``, the ids
of all missing products of the day."""
_AIRFLOW_CONF_KEYS: Final = frozenset({"openlineage"})
"""Keys that TriggerDagRunOperator adds to the configuration."""


def run_layout(context: Mapping[str, Any], stamp: str = "") -> RunLayout:
    """Return the run's paths in the store, for the search with this stamp."""
    dag_run = context["dag_run"]
    return RunLayout(dag_run.dag_id, dag_run.run_id, stamp)


def search_id(context: Mapping[str, Any]) -> str:
    """Return an id of this search task that is unique in its run."""
    ti = context["ti"]
    return ti.task_id if ti.map_index < 0 else f"{ti.task_id}.{ti.map_index}"


def open_store(output_uri: str, allowed: Iterable[str] = ()) -> Store:
    """Return the store at an fsspec URI that is allowed, see `config.allowed_outputs`.

    ``s3://conn_id@bucket/path`` includes the id of its connection.

    Args:
        output_uri: The URI.
        allowed: Outputs that the author of the DAG allows, besides those of the installation.

    Raises:
        ConfigurationError: The URI is malformed, relative or not allowed, its connection does not
            exist, or its storage protocol is not installed.
        StorageRefusedError: The credentials are invalid.
        StorageUnavailableError: The credentials cannot be read at present.
    """
    with reading_params(output_uri=output_uri):
        check_output_allowed(output_uri, allowed)
        if Place.of(output_uri).protocol == "s3":
            MissingPackageError.check(
                "airflow.providers.amazon", "s3", f"output_uri {output_uri!r}"
            )
        try:
            path = ObjectStoragePath(output_uri)
            if path.conn_id:
                read_connection(BaseHook.get_connection, path.conn_id)
            with named(lambda: output_uri, "opened"):
                return Store(path.fs, path.path)
        except (ValueError, ImportError) as error:
            message = f"output_uri {output_uri!r} cannot be used ({error}); choose another."
            raise ConfigurationError(message) from error


def check_run_conf(context: Mapping[str, Any], params: Collection[str] = tuple(PARAMS)) -> None:
    """Check that all keys of the run's configuration are params of its DAG.

    DAGs without these params are not checked. `REPAIR_KEY` is allowed in runs that another DAG
    triggers.

    Raises:
        QueryError: There are unknown keys, such as misspelled ones.
    """
    known = set(context["dag"].params) if "dag" in context else set()
    unknown = set(context["dag_run"].conf or {}) - known - _AIRFLOW_CONF_KEYS
    if context["dag_run"].run_type == _TRIGGERED:
        unknown -= {REPAIR_KEY}
    if unknown and set(params) <= known:
        names = ", ".join(_suggested(name, params) for name in sorted(unknown))
        message = (
            f"unknown param {names} in the run's configuration; params are {', '.join(params)}."
        )
        raise QueryError(message)


def _suggested(unknown: str, params: Collection[str]) -> str:
    near = difflib.get_close_matches(unknown, params, 1)
    return f"{unknown} (did you mean {near[0]}?)" if near else unknown


def is_backfill(context: Mapping[str, Any]) -> bool:
    """Return whether the run is part of a backfill."""
    return bool(context["dag_run"].run_type == _BACKFILL)


def is_scheduled(context: Mapping[str, Any], *chosen: Any) -> bool:
    """Return whether the run's days come from its schedule or a backfill, not from its params."""
    return context["dag_run"].run_type in _INTERVAL_RUNS and not any(chosen)


def repair_of(context: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Return the missing products of the run's days, see `REPAIR_KEY`; None if it is no repair.

    Raises:
        QueryError: The value has a wrong type.
    """
    given = (context["dag_run"].conf or {}).get(REPAIR_KEY)
    if given is None:
        return None
    try:
        return {
            f"{sensing_day(day)}": [str(product_id) for product_id in ids]
            for day, ids in given.items()
        }
    except (AttributeError, TypeError) as error:
        message = f"{REPAIR_KEY} {given!r} in the run's configuration is invalid; write ids by day."
        raise QueryError(message) from error


def check_days_have_ended(window: Window, *, is_chosen: bool) -> None:
    """Check that the run's days have ended, because more products may be sensed until then.

    Args:
        window: The run's days.
        is_chosen: Whether they are params; else the clock of another host may be slightly ahead.

    Raises:
        QueryError: The last day has not ended.
    """
    now = utc_now()
    if window.end > now + (timedelta(0) if is_chosen else _CLOCK_SKEW):
        day, yesterday = (window.end - timedelta(microseconds=1)).date(), now.date() - _ONE_DAY
        message = (
            f"the day {day} has not ended yet (now: {now:%Y-%m-%d %H:%M} UTC). Choose first_day "
            f"and last_day up to {yesterday}, or leave both empty."
        )
        raise QueryError(message)


def check_no_days_in_backfill(context: Mapping[str, Any], *chosen: Any) -> None:
    """Check that a backfill run has no days or products as params, because it has its own day.

    Raises:
        QueryError: It has.
    """
    if any(chosen) and is_backfill(context):
        message = (
            "first_day, last_day and product_ids may not be set for a backfill: all of its runs "
            "would fetch the same. Use the backfill's own dates instead."
        )
        raise QueryError(message)


def sensing_window(
    first_day: str | None, last_day: str | None, context: Mapping[str, Any]
) -> Window:
    """Return the run's UTC sensing days, by the first rule that applies.

    1. `first_day` and `last_day`, both inclusive; a single date covers that day.
    2. The data interval of a scheduled or backfill run, shifted to its logical date: a manual run
       that a backfill reprocesses keeps its earlier data interval.
    3. The UTC day before the logical date, or before `run_after` if there is none. Not the data
       interval: the command line derives that of a manual run from the current time.

    Raises:
        QueryError: The days are malformed, in reverse order or outside the mission.
    """
    chosen = days_window(first_day, last_day)
    if chosen is not None:
        return chosen
    dag_run = context["dag_run"]
    with reading(logical_date=dag_run.logical_date):
        return of_mission(_own_days(dag_run))


def _own_days(dag_run: Any) -> Window:
    start, end = dag_run.data_interval_start, dag_run.data_interval_end
    if dag_run.run_type in _INTERVAL_RUNS and start is not None and end is not None and start < end:
        shift = (dag_run.logical_date or start) - start
        return Window(start + shift, end + shift)
    day = ((dag_run.logical_date or dag_run.run_after).astimezone(UTC) - _ONE_DAY).date()
    return Window.of_days(day, day)
