"""Ingests: validated settings, declared in an ingest file or in Python; one DAG each."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from airflow_copernicus.config.environment import area_folders
from airflow_copernicus.config.ingest_checks import (
    DURATION,
    duration,
    normalised,
    one_line,
    problems,
)
from airflow_copernicus.config.ingest_files import check_name, files_in, shown_name
from airflow_copernicus.config.ingest_yaml import read_settings
from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.errors import ConfigurationError, TransientError
from copernicus_dataspace.models.product_state import RemovalPolicy
from copernicus_dataspace.os_errors import may_pass
from copernicus_dataspace.reconcile.removals.removal_record import MAX_REMOVALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

INGEST_TAG: Final = "copernicus"
"""Tag of ingest DAGs; `sentinel2_reconcile` triggers no others."""
_FIRST_DAY: Final = "2015-06-27"
"""The first day of Sentinel-2 data; the earliest day of a backfill."""
_CONNECTIONS: Final = 2
"""Half of a standard account's limit, so that two download tasks run at the same time."""

_SCRUB_DAYS: Final = 30
_KEEP_RUNS_DAYS: Final = 365

_POLICY: Final = {"type": "string", "enum": [policy.value for policy in RemovalPolicy]}
SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "description": {"type": "string"},
    "schedule": {"type": "string"},
    "publication_delay": {"type": "string", "pattern": rf"^{DURATION.pattern}\Z"},
    "start_day": {"type": "string", "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"},
    "catchup": {"type": "boolean"},
    "copernicus_conn_id": {"type": "string", "pattern": r"^[\w#!()\-.:/\\]{1,250}\Z"},
    "connections": {"type": "integer", "minimum": 1, "maximum": 20},
    "superseded": _POLICY,
    "withdrawn": _POLICY,
    "max_removals": {"type": "integer", "minimum": 0},
    "scrub_days": {"type": "integer", "minimum": 0, "maximum": 3650},
    "keep_runs_days": {"type": "integer", "minimum": 0, "maximum": 36_500},
    "one_run_at_a_time": {"type": "boolean"},
}
SCHEMAS: Final = {**SETTINGS, **{name: param["schema"] for name, param in PARAMS.items()}}


@dataclass(frozen=True, slots=True)
class Ingest:
    """The settings of one ingest.

    Attributes:
        dag_id: Id of its DAG.
        description: Shown in the list of DAGs.
        timetable: Of ``schedule``, a cron expression or preset in UTC with intervals of whole
            days, and ``publication_delay``, the time from the end of a day to its scheduled run.
        start_day: First day that may be scheduled or backfilled.
        catchup: Whether days missed while the DAG was paused are scheduled later.
        copernicus_conn_id: The Airflow Connection.
        connections: Concurrent transfers of each download task, and its pool slots.
        superseded: What happens to a product once its newer version is delivered, see
            `retirement.retire`.
        withdrawn: What happens to a product that was deleted upstream.
        max_removals: Maximum number of products removed in one night without approval, see
            `removals.removal_record.night_limit`.
        scrub_days: Period in which every file of the archive is read and compared with its digest
            once; 0 for never.
        keep_runs_days: Retention of run records and of the quarantine; 0 for unlimited.
        one_run_at_a_time: Whether only one run at a time of this ingest alone writes to its output;
            then storage without conditional writes is allowed.
        defaults: Default of every param, by name.
        declared: The settings that were given, by name.
    """

    dag_id: str
    description: str
    timetable: SensingDayTimetable
    start_day: datetime
    catchup: bool
    copernicus_conn_id: str
    connections: int
    superseded: RemovalPolicy
    withdrawn: RemovalPolicy
    max_removals: int
    scrub_days: int
    keep_runs_days: int
    one_run_at_a_time: bool
    defaults: Mapping[str, Any]
    declared: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate a file, whose name is the DAG id.

        Raises:
            ConfigurationError: The file cannot be read, is not valid YAML, or has invalid settings;
                the message names the file and every problem.
        """
        check_name(path)
        settings = read_settings(path)
        return cls.of(path.stem, settings, area_folders(path.parent), source=shown_name(path))

    @classmethod
    def of(
        cls,
        dag_id: str,
        settings: Mapping[str, Any],
        folders: Sequence[Path] | None,
        *,
        source: str | None = None,
    ) -> Self:
        """Validate settings.

        Args:
            dag_id: Id of the DAG.
            settings: By name, as JSON values.
            folders: Folders in which the area is looked up; None if it is known already.
            source: Name of their file for messages; None for the DAG id.

        Raises:
            ConfigurationError: Settings are invalid; the message names every problem.
        """
        given = normalised(settings, SCHEMAS)
        messages = problems(given, SCHEMAS, folders)
        if messages:
            message = f"{source or dag_id}: {one_line(messages)}"
            raise ConfigurationError(message)
        return cls(
            dag_id=dag_id,
            description=given.get("description", "Sentinel-2 files, day by day."),
            timetable=_timetable(given),
            start_day=_midnight(given.get("start_day", _FIRST_DAY)),
            catchup=given.get("catchup", False),
            copernicus_conn_id=given.get("copernicus_conn_id", "copernicus_default"),
            connections=given.get("connections", _CONNECTIONS),
            superseded=RemovalPolicy(given.get("superseded", "remove")),
            withdrawn=RemovalPolicy(given.get("withdrawn", "quarantine")),
            max_removals=given.get("max_removals", MAX_REMOVALS),
            scrub_days=given.get("scrub_days", _SCRUB_DAYS),
            keep_runs_days=given.get("keep_runs_days", _KEEP_RUNS_DAYS),
            one_run_at_a_time=given.get("one_run_at_a_time", False),
            defaults={name: given.get(name, param["default"]) for name, param in PARAMS.items()},
            declared=given,
        )


def as_json(value: Any) -> Any:
    """Return a setting given in Python as an ingest file has it: days and delays as text."""
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, timedelta):
        return f"{value / timedelta(minutes=1):g} minutes"
    return list(value) if isinstance(value, tuple | set | frozenset) else value


def read_in_task(path: Path) -> Ingest:
    """Return an ingest as `Ingest.read` does, but raise a retryable error if the disk fails.

    Raises:
        ConfigurationError: The file is invalid.
        TransientError: The file cannot be read at present.
    """
    try:
        return Ingest.read(path)
    except ConfigurationError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and may_pass(cause):
            raise TransientError(str(error)) from error
        raise


def read_all(folder: Path) -> Iterator[Ingest]:
    """Yield the ingests of all valid files of a folder.

    Raises:
        ConfigurationError, TransientError: The folder cannot be read.
    """
    for file in files_in(folder):
        with contextlib.suppress(ConfigurationError, TransientError):
            yield Ingest.read(file.path)


def _timetable(settings: Mapping[str, Any]) -> SensingDayTimetable:
    return SensingDayTimetable(
        cron=settings.get("schedule", "@daily"),
        publication_delay=duration(settings.get("publication_delay", "24 hours")),
    )


def _midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)
