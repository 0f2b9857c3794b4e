"""Turns the context of a running task into plain values: its run, its days, its store."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseHook, ObjectStoragePath

from airflow_copernicus.config.allowed_outputs import refuse_outside
from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.hooks.connection import read_connection
from airflow_copernicus.hooks.copernicus import days_window
from copernicus_dataspace.catalogue.query import of_mission, sensing_day
from copernicus_dataspace.errors import ConfigurationError, QueryError
from copernicus_dataspace.models.time_range import Window, utc_now
from copernicus_dataspace.storage.failures import named
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_ONE_DAY: Final = timedelta(days=1)
_BACKFILL: Final = "backfill"
_INTERVAL_RUNS: Final = ("scheduled", _BACKFILL)
_BY_OPERATOR: Final = "operator_triggered"
_AHEAD: Final = timedelta(minutes=5)
"""By which the clock of the host that made a run may be ahead of this one's."""

REPAIR_KEY: Final = "copernicus_repair"
"""Key of the configuration that `sentinel2_reconcile` gives to the runs that it triggers: by
``YYYY-MM-DD``, the ids of all products that the day lacks."""
_BY_AIRFLOW: Final = frozenset({"openlineage"})
"""Keys that TriggerDagRunOperator adds to a configuration."""


def run_layout(context: Mapping[str, Any], stamp: str = "") -> RunLayout:
    """Return the run's own places in the store, for the search of that stamp."""
    dag_run = context["dag_run"]
    return RunLayout(dag_run.dag_id, dag_run.run_id, stamp)


def search_id(context: Mapping[str, Any]) -> str:
    """Return what tells this search task from others of its run."""
    ti = context["ti"]
    return ti.task_id if ti.map_index < 0 else f"{ti.task_id}.{ti.map_index}"


def open_store(output_uri: str) -> Store:
    """Return the store at any fsspec URI that this installation allows, see `outputs`.

    ``s3://conn_id@bucket/path`` names its connection.

    Raises:
        ConfigurationError: The URI is malformed, relative or not allowed, its connection does not
            exist, or its kind of storage is not installed.
        StorageRefusedError: Its keys cannot be used.
        StorageUnavailableError: Its keys cannot be had now.
    """
    with reading(output_uri=output_uri):
        refuse_outside(output_uri)
        try:
            path = ObjectStoragePath(output_uri)
            if path.conn_id:
                read_connection(BaseHook.get_connection, path.conn_id)
            with named(lambda: output_uri, "opened"):
                return Store(path.fs, path.path)
        except (ValueError, ImportError) as error:
            message = f"output_uri {output_uri!r} cannot be used ({error}); choose another."
            raise ConfigurationError(message) from error


def refuse_unknown(context: Mapping[str, Any], params: Collection[str] = tuple(PARAMS)) -> None:
    """Refuse a configuration of the run that names no param of its DAG, such as a misspelt one.

    A DAG without these params may take what it likes. `REPAIR_KEY` is for runs that another DAG
    triggers.

    Raises:
        QueryError: Names the unknown keys and the known ones.
    """
    known = set(context["dag"].params) if "dag" in context else set()
    unknown = set(context["dag_run"].conf or {}) - known - _BY_AIRFLOW
    if context["dag_run"].run_type == _BY_OPERATOR:
        unknown -= {REPAIR_KEY}
    if unknown and set(params) <= known:
        names = ", ".join(sorted(unknown))
        message = f"the run's configuration has no param {names}; there are {', '.join(params)}."
        raise QueryError(message)


def is_backfill(context: Mapping[str, Any]) -> bool:
    """Tell whether the run is part of a backfill."""
    return bool(context["dag_run"].run_type == _BACKFILL)


def is_scheduled(context: Mapping[str, Any], *chosen: Any) -> bool:
    """Tell whether the run's schedule or a backfill gave it its days, and nobody chose others."""
    return context["dag_run"].run_type in _INTERVAL_RUNS and not any(chosen)


def repair_of(context: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Return what the days lack that the run is to mend, see `REPAIR_KEY`; None for no repair.

    Raises:
        QueryError: The configuration holds something else under that key.
    """
    given = (context["dag_run"].conf or {}).get(REPAIR_KEY)
    if given is None:
        return None
    try:
        return {f"{sensing_day(day)}": [str(one) for one in ids] for day, ids in given.items()}
    except (AttributeError, TypeError) as error:
        message = f"the run's configuration has {REPAIR_KEY} {given!r}; write days and their ids."
        raise QueryError(message) from error


def refuse_unended(window: Window, *, is_chosen: bool) -> None:
    """Refuse days that have not ended: what they hold is not known yet.

    Args:
        window: The run's days.
        is_chosen: Whether somebody chose them; others come from the clock of another host.

    Raises:
        QueryError: Names the last day, the present, and the days that may be asked for.
    """
    now = utc_now()
    if window.end > now + (timedelta(0) if is_chosen else _AHEAD):
        day, yesterday = (window.end - timedelta(microseconds=1)).date(), now.date() - _ONE_DAY
        message = (
            f"the day {day} has not ended, it is {now:%Y-%m-%d %H:%M} UTC: its products are still "
            f"to come. Choose first_day and last_day up to {yesterday}, or leave both empty."
        )
        raise QueryError(message)


def refuse_in_backfill(context: Mapping[str, Any], *chosen: Any) -> None:
    """Refuse days or products chosen for a backfill, which gives each of its runs its own day.

    Raises:
        QueryError: The run is part of a backfill and anything is chosen.
    """
    if any(chosen) and is_backfill(context):
        message = (
            "first_day, last_day and product_ids may not be set for a backfill: every one of its "
            "runs would fetch the same. Choose the backfill's own dates instead."
        )
        raise QueryError(message)


def sensing_window(
    first_day: str | None, last_day: str | None, context: Mapping[str, Any]
) -> Window:
    """Return the run's UTC sensing days: those asked for, else the run's own.

    1. `first_day` and `last_day`, both included; one alone means that one day.
    2. The data interval of a scheduled or backfill run, which starts at its logical date. A run by
       hand that a backfill takes up has kept its own, which ended by then.
    3. The UTC day before the logical date, or before the run was asked for where it has none. Not
       the data interval: the command line derives that of a run by hand from the present.

    Raises:
        QueryError: The days are malformed, reversed, or none of the mission.
    """
    asked = days_window(first_day, last_day)
    if asked is not None:
        return asked
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
