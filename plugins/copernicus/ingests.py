"""Reads the files of include/ingests: one per DAG, checked before any DAG is built from it."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import jsonschema
import yaml
from airflow.exceptions import AirflowTimetableInvalid

from copernicus.params import PARAMS
from copernicus.timetables import SensingDayTimetable
from dataspace.custody import POLICIES, QUARANTINE, REMOVE
from dataspace.errors import ConfigurationError
from dataspace.removal_record import MAX_REMOVALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_YAML: Final = (".yaml", ".yml")
_DURATION: Final = re.compile(r"(?P<number>\d+(\.\d+)?) *(?P<unit>minute|hour|day)s?")
_DAG_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FIRST_DAY: Final = "2015-06-27"
"""The first day of Sentinel-2 data; backfills may begin anywhere after it."""
_CONNECTIONS: Final = 2
"""Half of an ordinary account's: while one download task starts or ends, another moves bytes."""

_SCRUB_DAYS: Final = 30

_SETTINGS: Final[dict[str, dict[str, Any]]] = {
    "description": {"type": "string"},
    "schedule": {"type": "string"},
    "publication_delay": {"type": "string", "pattern": rf"^{_DURATION.pattern}\Z"},
    "start_day": {"type": "string", "format": "date"},
    "catchup": {"type": "boolean"},
    "copernicus_conn_id": {"type": "string", "minLength": 1},
    "connections": {"type": "integer", "minimum": 1, "maximum": 20},
    "superseded": {"type": "string", "enum": list(POLICIES)},
    "withdrawn": {"type": "string", "enum": list(POLICIES)},
    "max_removals": {"type": "integer", "minimum": 0},
    "scrub_days": {"type": "integer", "minimum": 0, "maximum": 3650},
}
_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "properties": {**_SETTINGS, **{name: param["schema"] for name, param in PARAMS.items()}},
}


@dataclass(frozen=True, slots=True)
class Ingest:
    """What one file of include/ingests says.

    Attributes:
        path: The file.
        dag_id: The file's name.
        description: One line for the list of DAGs.
        timetable: From ``schedule``, a cron expression or preset in UTC whose intervals are whole
            days, and ``publication_delay``, from the end of a day to its scheduled run.
        start_day: First day that may be scheduled or backfilled.
        catchup: Whether days missed while the DAG was paused are scheduled later.
        copernicus_conn_id: The Airflow Connection.
        connections: Transfers at once of each download task, which takes as many slots of the pool.
        superseded: What becomes of a product once its successor stands, see `custody.retire`.
        withdrawn: What becomes of a product that was deleted upstream.
        max_removals: How many products may be removed in a night without asking a person, see
            `removal_record.night_limit`.
        scrub_days: In so many days the bytes of all that is held are read once; 0 for never.
        defaults: Default of every param, by name.
    """

    path: Path
    dag_id: str
    description: str
    timetable: SensingDayTimetable
    start_day: datetime
    catchup: bool
    copernicus_conn_id: str
    connections: int
    superseded: str
    withdrawn: str
    max_removals: int
    scrub_days: int
    defaults: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a file says.

        Raises:
            ConfigurationError: It is no YAML, or says something the schema does not allow.
        """
        if not _DAG_ID.fullmatch(path.stem):
            message = f"{path.name}: the file's name is no DAG id; use letters, digits, _ . and -."
            raise ConfigurationError(message)
        settings = _checked(path)
        return cls(
            path=path,
            dag_id=path.stem,
            description=settings.get("description", "Sentinel-2 files, day by day."),
            timetable=_timetable(path, settings),
            start_day=_day(path, settings.get("start_day", _FIRST_DAY)),
            catchup=settings.get("catchup", False),
            copernicus_conn_id=settings.get("copernicus_conn_id", "copernicus_default"),
            connections=settings.get("connections", _CONNECTIONS),
            superseded=settings.get("superseded", REMOVE),
            withdrawn=settings.get("withdrawn", QUARANTINE),
            max_removals=int(settings.get("max_removals", MAX_REMOVALS)),  # 10.0 is one, too
            scrub_days=settings.get("scrub_days", _SCRUB_DAYS),
            defaults={name: settings.get(name, param["default"]) for name, param in PARAMS.items()},
        )


def files_in(folder: Path) -> list[Path]:
    """Return the ingest files of a folder, usable or not."""
    return [path for path in sorted(folder.iterdir()) if path.suffix in _YAML]


def read_all(folder: Path) -> Iterator[Ingest]:
    """Give every ingest of a folder whose file can be used."""
    for path in files_in(folder):
        with contextlib.suppress(ConfigurationError, OSError):
            yield Ingest.read(path)


def _checked(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        message = f"{path.name} is not YAML: {error}"
        raise ConfigurationError(message) from error
    if isinstance(settings, dict):
        settings = {
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in settings.items()
        }
    try:
        jsonschema.validate(settings, _SCHEMA, format_checker=jsonschema.FormatChecker())
    except jsonschema.ValidationError as error:
        message = f"{path.name}: {error.json_path.removeprefix('$.')}: {error.message}"
        raise ConfigurationError(message) from error
    return dict(settings)


def _timetable(path: Path, settings: Mapping[str, Any]) -> SensingDayTimetable:
    delay = _DURATION.fullmatch(settings.get("publication_delay", "24 hours"))
    assert delay is not None, "the schema has checked it"  # noqa: S101
    try:
        timetable = SensingDayTimetable(
            cron=settings.get("schedule", "@daily"),
            publication_delay=timedelta(**{f"{delay['unit']}s": float(delay["number"])}),
        )
        timetable.validate()
    except (AirflowTimetableInvalid, ValueError, OverflowError) as error:
        message = f"{path.name}: schedule or publication_delay: {error}"
        raise ConfigurationError(message) from error
    return timetable


def _day(path: Path, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        message = f"{path.name}: start_day {text!r} is not a day; write it as YYYY-MM-DD."
        raise ConfigurationError(message) from error
