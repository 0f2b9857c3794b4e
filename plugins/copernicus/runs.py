"""Turns the context of a running task into plain values: its run, its days, its store."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import ObjectStoragePath

from copernicus.hooks import days_window
from dataspace.errors import ConfigurationError, QueryError
from dataspace.layout import RunLayout
from dataspace.store import Store
from dataspace.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

_ONE_DAY: Final = timedelta(days=1)
_BACKFILL: Final = "backfill"
_INTERVAL_RUNS: Final = ("scheduled", _BACKFILL)


def run_layout(context: Mapping[str, Any]) -> RunLayout:
    """Return the run's own places in the store."""
    dag_run = context["dag_run"]
    return RunLayout(dag_run.dag_id, dag_run.run_id)


def open_store(output_uri: str) -> Store:
    """Return the store at any fsspec URI; ``s3://conn_id@bucket/path`` names its connection.

    Raises:
        ConfigurationError: The URI is malformed or its kind of storage is not installed.
    """
    try:
        path = ObjectStoragePath(output_uri)
        return Store(path.fs, path.path)
    except (ValueError, ImportError) as error:
        message = (
            f"output_uri {output_uri!r} cannot be used ({error}); write for example "
            "file:///data/sentinel2 or s3://connection_id@bucket/sentinel2."
        )
        raise ConfigurationError(message) from error


def refuse_in_backfill(context: Mapping[str, Any], *chosen: Any) -> None:
    """Refuse days or products chosen for a backfill, which gives each of its runs its own day.

    Raises:
        QueryError: The run is part of a backfill and anything is chosen.
    """
    if any(chosen) and context["dag_run"].run_type == _BACKFILL:
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
    2. The data interval of a scheduled or backfill run, or one chosen by hand in the form.
    3. The UTC day before the logical date, or before the run was asked for where it has none.

    Raises:
        QueryError: The days are malformed or reversed, or the interval is not of whole days.
    """
    asked = days_window(first_day, last_day)
    if asked is not None:
        return asked
    dag_run = context["dag_run"]
    start, end = dag_run.data_interval_start, dag_run.data_interval_end
    own = _day_before(dag_run.logical_date or dag_run.run_after)
    if start is None or end is None:
        return own
    interval = Window(start, end)
    if dag_run.run_type in _INTERVAL_RUNS:
        return interval
    if interval in (own, _day_before(dag_run.run_after)):  # inferred; by the CLI from the present
        return own
    if any(edge.time() != time.min for edge in (interval.start, interval.end)):
        message = f"the data interval {interval} is not of whole UTC days; choose midnights."
        raise QueryError(message)
    return interval


def _day_before(instant: datetime) -> Window:
    day = (instant.astimezone(UTC) - _ONE_DAY).date()
    return Window.of_days(day, day)
