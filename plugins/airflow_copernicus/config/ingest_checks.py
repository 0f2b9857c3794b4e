"""Finds what is wrong with the settings of an ingest, and says how to write them.

Knows what they mean, too: bands, tiles and days that exist, and an area that has a file. What needs
the area's geometry, the connection or the output is left to whoever uses them.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import fsspec
import jsonschema
from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk.io.fs import has_fs

from airflow_copernicus.config import output_uri
from airflow_copernicus.config.environment import AREAS
from airflow_copernicus.config.output_uri import Place
from airflow_copernicus.config.params import OF_A_RUN, PARAMS, lines
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

    Schemas = Mapping[str, Mapping[str, Any]]

_HOW: Final = {
    "area": "write a name from include/areas, or west,south,east,north in degrees, WKT or GeoJSON",
    "bands": "write a list, such as [SCL_20m, B04_10m]",
    "copernicus_conn_id": "write the id of an Airflow Connection, such as copernicus_default",
    "max_cloud_cover": "write percent as a number from 0 to 100, or leave it out",
    "output_uri": output_uri.HOW,
    "publication_delay": "write minutes, hours or days up to 365 days, such as 36 hours",
    "schedule": 'write a preset or cron expression of whole UTC days, such as "@daily"',
    "start_day": "write a day of the calendar, such as 2024-08-01",
    "tiles": "write a list, such as [T36TXL, T36TYL]",
}
_YES_NO: Final = {**dict.fromkeys(("yes", "on"), True), **dict.fromkeys(("no", "off"), False)}
_GEOJSON: Final = (
    *("Feature", "FeatureCollection", "GeometryCollection", "Polygon", "MultiPolygon"),
    *("Point", "MultiPoint", "LineString", "MultiLineString"),
)
DURATION: Final = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) *(?P<unit>minute|hour|day)s?")
_LONGEST_DELAY: Final = timedelta(days=365)
_LONGEST_AHEAD: Final = timedelta(days=366)
"""A day to begin on that lies further ahead is a mistyped one."""
_SHOWN: Final = 60
_MOST: Final = 20
_LONGEST: Final = 600
_FORMATS: Final = jsonschema.FormatChecker()


def tidied(given: Mapping[str, Any], schemas: Schemas) -> dict[str, Any]:
    """Return settings with yes and no as booleans, 2.0 as a whole number, where one is wanted."""
    return {name: _tidied(value, schemas.get(name, {})) for name, value in given.items()}


def problems(given: Mapping[str, Any], schemas: Schemas) -> list[str]:
    """Return what is wrong with the settings of a file, in a sentence or two for each problem.

    Args:
        given: As of `tidied`.
        schemas: JSON schema of every setting, by name.
    """
    found = {name: _fault(name, value, schemas) for name, value in given.items()}
    for name, check in _EACH.items():
        if name in given and not found[name]:
            found[name] = _complaint(name, check, given[name])
    wrong = {name for name, said in found.items() if said}
    for names, check in _TOGETHER.items():
        if not wrong & {*names}:
            found[names[0]] = _complaint(names[0], check, given)
    return [said for said in found.values() if said]


def in_a_line(found: Sequence[str]) -> str:
    """Return problems as one text; of very many the first, and of long ones the beginning."""
    first = [one if len(one) <= _LONGEST else f"{one[:_LONGEST]}..." for one in found[:_MOST]]
    more = [f"And {len(found) - _MOST:,} more."] if len(found) > _MOST else []
    return " ".join([*first, *more])


def duration(text: str) -> timedelta:
    """Return the time that a text such as ``36 hours`` names; at most the longest there is."""
    match = DURATION.fullmatch(text)
    assert match is not None, "the schema has checked it"  # noqa: S101
    try:
        return timedelta(**{f"{match['unit']}s": float(match["number"])})
    except OverflowError:
        return timedelta.max


def shown(value: Any) -> str:
    """Return a value as a file would have it, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _tidied(value: Any, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "boolean" and isinstance(value, str):
        return _YES_NO.get(value.lower(), value)
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if schema.get("type") == "integer" and is_whole else value


def _fault(name: str, value: Any, schemas: Schemas) -> str:
    """Return what is wrong with the form of a setting, or with its being there at all."""
    if name in OF_A_RUN:
        return (
            f"{name} belongs to a run, not to a file: every scheduled run would fetch the same. "
            "Leave it out here, and give it in the trigger form."
        )
    if name not in schemas:
        return f"{shown(name)} is no setting; {_nearest(name, schemas)}"
    schema = schemas[name]
    if jsonschema.Draft202012Validator(schema, format_checker=_FORMATS).is_valid(value):
        return ""
    return f"{name}: {shown(value)} cannot be used; {_HOW.get(name) or _how(schema)}."


def _nearest(name: str, schemas: Schemas) -> str:
    known = sorted({*schemas} - {*OF_A_RUN})
    near = difflib.get_close_matches(name.lower(), known, 1) or [
        one for one in known if name and name.lower() in one
    ]
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."


def _how(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return f"write {' or '.join(schema['enum'])}"
    if schema["type"] == "boolean":
        return "write true or false"
    if schema["type"] == "integer":
        most = f" to {schema['maximum']}" if "maximum" in schema else ""
        return f"write a whole number from {schema['minimum']}{most or ' on'}"
    return "write a text, in quotes where it looks like a number"


def _complaint(name: str, check: Callable[[Any], None], value: Any) -> str:
    """Return what is wrong with a setting; nothing where that cannot be looked up just now."""
    with contextlib.suppress(TransientError):
        try:
            with reading(**{name: value}):
                check(value)
        except (ConfigurationError, BandError) as error:
            return f"{name}: {error}"
    return ""


def _check_area(area: Any) -> None:
    if isinstance(area, str) and area:
        _check_text(area)
    elif area:
        _check_geojson(area)


def _check_text(area: str) -> None:
    try:
        if named_file(area, AREAS) is not None:
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
        message = f"{shown(area)} is no GeoJSON: its type is none of {', '.join(_GEOJSON)}."
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
    first, last = MISSION.start.date(), utc_now().date() + _LONGEST_AHEAD
    if not first <= date.fromisoformat(text) <= last:
        message = (
            f"{text} lies outside of the mission; write a day from {first} on, up to {last}, which "
            "is a year ahead."
        )
        raise ConfigurationError(message)


def _check_delay(text: str) -> None:
    if not duration(text) <= _LONGEST_DELAY:
        message = f"{shown(text)} cannot be used; {_HOW['publication_delay']}."
        raise ConfigurationError(message)


def _check_schedule(cron: str) -> None:
    try:
        SensingDayTimetable(cron=cron, publication_delay=timedelta(0)).validate()
    except (AirflowTimetableInvalid, ValueError, OverflowError) as error:
        own = str(error) if str(error).startswith("schedule ") else ""
        message = own or f"{shown(cron)} cannot be used; {_HOW['schedule']}."
        raise ConfigurationError(message) from error


def _check_output(uri: str) -> None:
    protocol = Place.of(uri).protocol
    if protocol not in fsspec.available_protocols() and not has_fs(protocol):
        message = f"{protocol}:// is no kind of storage that is installed; {output_uri.HOW}."
        raise ConfigurationError(message)


def _check_bands(given: Mapping[str, Any]) -> None:
    product_type = given.get("product_type", PARAMS["product_type"]["default"])
    bands = lines(given.get("bands", PARAMS["bands"]["default"]))
    if not bands:
        message = f"no band is named; {_HOW['bands']}."
        raise ConfigurationError(message)
    check_bands(bands, product_type)


def _check_place(given: Mapping[str, Any]) -> None:
    if not given.get("area") and not lines(given.get("tiles")):
        message = "neither area nor tiles is given: that would be the whole world; give one."
        raise ConfigurationError(message)


def _check_zip(given: Mapping[str, Any]) -> None:
    names = [name for name in ("transfer", "keep_archive") if name in given]
    DeliveryOptions(bands=(), **{name: given[name] for name in names})


_EACH: Final[Mapping[str, Callable[[Any], None]]] = {
    "area": _check_area,
    "tiles": _check_tiles,
    "start_day": _check_start_day,
    "publication_delay": _check_delay,
    "schedule": _check_schedule,
    "output_uri": _check_output,
}
_TOGETHER: Final[Mapping[tuple[str, str], Callable[[Any], None]]] = {
    ("bands", "product_type"): _check_bands,
    ("area", "tiles"): _check_place,
    ("keep_archive", "transfer"): _check_zip,
}
