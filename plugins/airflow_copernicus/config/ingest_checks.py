"""Validates the settings of an ingest, by JSON schema and by meaning.

Bands, tiles, days and the area's file must exist. The geometry of the area, the connection and the
output are checked when they are used.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import fsspec
import jsonschema
from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk.io.fs import has_fs

from airflow_copernicus.config import output_uri
from airflow_copernicus.config.output_uri import Place
from airflow_copernicus.config.params import PARAMS, RUN_ONLY_PARAMS, lines
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.errors import (
    AreaError,
    BandError,
    ConfigurationError,
    QueryError,
    TransientError,
)
from copernicus_dataspace.geometry.area_files import (
    check_wkt,
    corners,
    is_corners,
    named_file,
    parsed,
)
from copernicus_dataspace.ingest.product_job import DeliveryOptions
from copernicus_dataspace.models.bands import check_bands
from copernicus_dataspace.models.product import normalise_tile
from copernicus_dataspace.models.time_range import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    Schemas = Mapping[str, Mapping[str, Any]]

_HINTS: Final = {
    "area": "write the name of an area file, west,south,east,north in degrees, WKT or GeoJSON",
    "bands": "write a list, such as [SCL_20m, B04_10m]",
    "copernicus_conn_id": "write the id of an Airflow Connection, such as copernicus_default",
    "max_cloud_cover": "write a percentage from 0 to 100, or omit it",
    "output_uri": output_uri.HINT,
    "publication_delay": "write minutes, hours or days, at most 365 days, such as 36 hours",
    "schedule": 'write a preset or cron expression of whole UTC days, such as "@daily"',
    "start_day": "write a valid date, such as 2024-08-01",
    "tiles": "write a list, such as [T36TXL, T36TYL]",
}
_YES_NO: Final = {**dict.fromkeys(("yes", "on"), True), **dict.fromkeys(("no", "off"), False)}
_GEOJSON: Final = (
    *("Feature", "FeatureCollection", "GeometryCollection", "Polygon", "MultiPolygon"),
    *("Point", "MultiPoint", "LineString", "MultiLineString"),
)
DURATION: Final = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) *(?P<unit>minute|hour|day)s?")
_MAX_DELAY: Final = timedelta(days=365)
_MAX_DAYS_AHEAD: Final = timedelta(days=366)
"""A later start day is taken for a typing error."""
_MAX_SHOWN: Final = 60
_MAX_PROBLEMS: Final = 20
_MAX_PROBLEM_LENGTH: Final = 600
_FORMATS: Final = jsonschema.FormatChecker()


def normalised(given: Mapping[str, Any], schemas: Schemas) -> dict[str, Any]:
    """Return settings with yes/no as booleans and 2.0 as an integer where the schema asks so."""
    return {name: _normalised(value, schemas.get(name, {})) for name, value in given.items()}


def problems(
    given: Mapping[str, Any], schemas: Schemas, area_folders: Sequence[Path] | None
) -> list[str]:
    """Return a message for each invalid setting of an ingest.

    Args:
        given: Settings as `normalised` returns them.
        schemas: JSON schema of every setting, by name.
        area_folders: Folders in which the area is looked up; None if it is known already.
    """
    messages = {name: _schema_problem(name, value, schemas) for name, value in given.items()}
    checks = {**_SETTING_CHECKS}
    if area_folders is not None:
        checks["area"] = partial(_check_area, folders=area_folders)
    for name, check in checks.items():
        if name in given and not messages[name]:
            messages[name] = _value_problem(name, check, given[name])
    invalid = {name for name, message in messages.items() if message}
    for names, check in _COMBINATION_CHECKS.items():
        if not invalid & {*names}:
            messages[names[0]] = _value_problem(names[0], check, given)
    return [message for message in messages.values() if message]


def one_line(messages: Sequence[str]) -> str:
    """Join messages into one text; shorten long ones, and omit all after the first few."""
    first = [_shortened(message, _MAX_PROBLEM_LENGTH) for message in messages[:_MAX_PROBLEMS]]
    omitted = len(messages) - _MAX_PROBLEMS
    return " ".join([*first, *([f"And {omitted:,} more."] if omitted > 0 else [])])


def duration(text: str) -> timedelta:
    """Parse a duration such as ``36 hours``; too long ones become `timedelta.max`."""
    match = DURATION.fullmatch(text)
    assert match is not None, "checked by the schema"  # noqa: S101
    try:
        return timedelta(**{f"{match['unit']}s": float(match["number"])})
    except OverflowError:
        return timedelta.max


def shown(value: Any) -> str:
    """Return a value as JSON for messages, shortened."""
    return _shortened(json.dumps(value, ensure_ascii=False, default=str), _MAX_SHOWN)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _normalised(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "boolean" and isinstance(value, str):
        return _YES_NO.get(value.lower(), value)
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if schema.get("type") == "integer" and is_whole else value


def _schema_problem(name: str, value: Any, schemas: Schemas) -> str:
    """Return a message where a setting is unknown or violates its schema; else an empty text."""
    if name in RUN_ONLY_PARAMS:
        return (
            f"{name} is a param of a single run: every scheduled run would fetch the same. "
            "Remove it here, and set it in the trigger form."
        )
    if name not in schemas:
        return f"{shown(name)} is not a setting; {_suggestion(name, schemas)}"
    schema = schemas[name]
    if jsonschema.Draft202012Validator(schema, format_checker=_FORMATS).is_valid(value):
        return ""
    return f"{name}: {shown(value)} cannot be used; {_HINTS.get(name) or _hint(schema)}."


def _suggestion(name: str, schemas: Schemas) -> str:
    known = sorted({*schemas} - {*RUN_ONLY_PARAMS})
    near = difflib.get_close_matches(name.lower(), known, 1) or [
        setting for setting in known if name and name.lower() in setting
    ]
    return f"did you mean {near[0]}?" if near else f"known settings: {', '.join(known)}."


def _hint(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"write {' or '.join(schema['enum'])}"
    if schema["type"] == "boolean":
        return "write true or false"
    if schema["type"] == "integer":
        low, high = schema["minimum"], schema.get("maximum")
        limits = f"of at least {low}" if high is None else f"from {low} to {high}"
        return f"write an integer {limits}"
    return "write a string, in quotes if it looks like a number"


def _value_problem(name: str, check: Callable[[Any], None], value: Any) -> str:
    """Return the message of a failed check; an empty text if it cannot be made at present."""
    with contextlib.suppress(TransientError):
        try:
            with reading(**{name: value}):
                check(value)
        except (ConfigurationError, BandError) as error:
            return f"{name}: {error}"
    return ""


def _check_area(area: Any, folders: Sequence[Path]) -> None:
    if isinstance(area, str) and area:
        _check_area_text(area, folders)
    elif area:
        _check_geojson(area)


def _check_area_text(area: str, folders: Sequence[Path]) -> None:
    try:
        if named_file(area, folders) is not None:
            return
        if area.lstrip()[0] in "{[":
            _check_geojson(parsed(area))
        elif is_corners(area):
            corners(area)
        else:
            check_wkt(area)
    except AreaError as error:
        message = f"{shown(area)}: {error}"
        raise ConfigurationError(message) from error


def _check_geojson(area: Any) -> None:
    if not isinstance(area, dict) or area.get("type") not in _GEOJSON:
        message = f"{shown(area)} is not GeoJSON: its type must be one of {', '.join(_GEOJSON)}."
        raise ConfigurationError(message)


def _check_tiles(tiles: Any) -> None:
    wrong = [tile for tile in lines(tiles) if not _is_tile(tile)]
    if wrong:
        message = f"{', '.join(map(shown, wrong))} cannot be used; write MGRS tiles like T36TXL."
        raise ConfigurationError(message)


def _is_tile(text: str) -> bool:
    try:
        normalise_tile(text)
    except QueryError:
        return False
    return True


def _check_start_day(text: str) -> None:
    first, last = MISSION.start.date(), utc_now().date() + _MAX_DAYS_AHEAD
    if not first <= date.fromisoformat(text) <= last:
        message = (
            f"{text} is outside the mission; write a day from {first} to {last}, a year from today."
        )
        raise ConfigurationError(message)


def _check_delay(text: str) -> None:
    if not duration(text) <= _MAX_DELAY:
        message = f"{shown(text)} cannot be used; {_HINTS['publication_delay']}."
        raise ConfigurationError(message)


def _check_schedule(cron: str) -> None:
    try:
        SensingDayTimetable(cron=cron, publication_delay=timedelta(0)).validate()
    except (AirflowTimetableInvalid, ValueError, OverflowError) as error:
        own = str(error) if str(error).startswith("schedule ") else ""
        message = own or f"{shown(cron)} cannot be used; {_HINTS['schedule']}."
        raise ConfigurationError(message) from error


def _check_output(uri: str) -> None:
    protocol = Place.of(uri).protocol
    if protocol not in fsspec.available_protocols() and not has_fs(protocol):
        message = f"{protocol}:// is not an installed storage protocol; {output_uri.HINT}."
        raise ConfigurationError(message)


def _check_bands(given: Mapping[str, Any]) -> None:
    product_type = given.get("product_type", PARAMS["product_type"]["default"])
    bands = lines(given.get("bands", PARAMS["bands"]["default"]))
    if not bands:
        message = f"the list is empty; {_HINTS['bands']}."
        raise ConfigurationError(message)
    check_bands(bands, product_type)


def _check_place(given: Mapping[str, Any]) -> None:
    if not given.get("area") and not lines(given.get("tiles")):
        message = "neither area nor tiles is set; set at least one of them."
        raise ConfigurationError(message)


def _check_zip(given: Mapping[str, Any]) -> None:
    names = [name for name in ("transfer", "keep_archive") if name in given]
    DeliveryOptions(bands=(), **{name: given[name] for name in names})


_SETTING_CHECKS: Final[Mapping[str, Callable[[Any], None]]] = {
    "tiles": _check_tiles,
    "start_day": _check_start_day,
    "publication_delay": _check_delay,
    "schedule": _check_schedule,
    "output_uri": _check_output,
}
_COMBINATION_CHECKS: Final[Mapping[tuple[str, str], Callable[[Any], None]]] = {
    ("bands", "product_type"): _check_bands,
    ("area", "tiles"): _check_place,
    ("keep_archive", "transfer"): _check_zip,
}
