"""The parameters of an ingest DAG: their schema, their default, and what the trigger form says.

An ingest file gives another default to any of them; who triggers a run may change any for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

from airflow_copernicus.config.environment import default_output_uri
from copernicus_dataspace.catalogue.versions import LATEST, VERSIONS
from copernicus_dataspace.ingest.product_job import TRANSFERS
from copernicus_dataspace.models.product import PRODUCT_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STRINGS: Final = {"type": "array", "items": {"type": "string"}}
_ANY_STRINGS: Final = {**_STRINGS, "type": ["null", "array"]}
"""May be empty: the form gives null for a field that was typed in and cleared again."""

_DAY: Final = {"type": ["null", "string"], "format": "date"}

PARAMS: Final[dict[str, dict[str, Any]]] = {
    "first_day": {
        "title": "First day",
        "description": "First UTC sensing day, included; days that have not ended are refused. "
        "Empty: the run's own day, which is the UTC day before its logical date, or yesterday "
        "where it has none. Leave empty for a backfill, whose own dates count.",
        "schema": _DAY,
        "default": None,
    },
    "last_day": {
        "title": "Last day",
        "description": "Last UTC sensing day, included. One of the two alone means that one day.",
        "schema": _DAY,
        "default": None,
    },
    "area": {
        "title": "Area of interest",
        "description": "A name from include/areas, or GeoJSON, or WKT, or "
        "west,south,east,north in degrees (west > east crosses 180°). May be empty where "
        "tiles are given.",
        "schema": {"type": ["null", "string", "object"]},
        "default": None,
    },
    "tiles": {
        "title": "Tiles",
        "description": "MGRS tiles such as T36TXL, one a line. With an area, both must hold.",
        "schema": _ANY_STRINGS,
        "default": [],
    },
    "product_type": {
        "title": "Product type",
        "description": "S2MSI2A: surface reflectance with scene classification. S2MSI1C: top of "
        "atmosphere.",
        "schema": {"type": "string", "enum": list(reversed(PRODUCT_TYPES.values()))},
        "default": PRODUCT_TYPES["L2A"],
    },
    "max_cloud_cover": {
        "title": "Most cloud cover (percent)",
        "description": "Inclusive. Empty: no limit, and products that do not say pass too.",
        "schema": {"type": ["null", "number"], "minimum": 0, "maximum": 100},
        "default": None,
    },
    "versions": {
        "title": "Versions",
        "description": "latest: of each acquisition the newest processing that is online, and all "
        "parts where it came in several. all: every one that is listed. Products named below are "
        "fetched whatever their version.",
        "schema": {"type": "string", "enum": list(VERSIONS)},
        "default": LATEST,
    },
    "bands": {
        "title": "Bands and files",
        "description": "One a line: SCL_20m, B04_10m, or B04 for its native resolution; "
        "L1C bands carry none. With *, ? or / it is a pattern on the path inside the "
        "product, such as */MTD_TL.xml.",
        "schema": {**_STRINGS, "minItems": 1},
        "default": ["SCL_20m"],
    },
    "product_ids": {
        "title": "Products",
        "description": "Ids or names of products, one a line: exactly these, whatever the other "
        "filters say.",
        "schema": _ANY_STRINGS,
        "default": [],
    },
    "transfer": {
        "title": "Transfer",
        "description": "files: only the wanted files. archive: the whole zip.",
        "schema": {"type": "string", "enum": list(TRANSFERS)},
        "default": "files",
    },
    "keep_archive": {
        "title": "Keep the zip",
        "description": "With archive: store the zip below archive/ too.",
        "schema": {"type": "boolean"},
        "default": False,
    },
    "output_uri": {
        "title": "Output",
        "description": "Where files go: file:///path, or s3://connection_id@bucket/path for object "
        "storage; a place that an ingest file, SENTINEL2_OUTPUT_URI or SENTINEL2_OUTPUT_ROOTS "
        "names, or one below it.",
        "schema": {"type": "string", "minLength": 1},
        "default": default_output_uri(),
    },
    "overwrite": {
        "title": "Fetch again",
        "description": "Fetch and replace what is already there.",
        "schema": {"type": "boolean"},
        "default": False,
    },
}

OF_A_RUN: Final = ("first_day", "last_day", "product_ids")
"""Params that no ingest file may set: each of its runs would be about the same days or products."""

RECONCILE_PARAMS: Final[dict[str, dict[str, Any]]] = {
    "first_day": {
        "title": "First day",
        "description": "First UTC sensing day to look at, included. Empty: the thirty newest days "
        "that are due, and once a week all days that belong to the archive.",
        "schema": _DAY,
        "default": None,
    },
    "last_day": {
        "title": "Last day",
        "description": "Last UTC sensing day, included. One of the two alone means that one day.",
        "schema": _DAY,
        "default": None,
    },
    "ingests": {
        "title": "Ingests",
        "description": "Ids of ingest DAGs, one a line. Empty: all. Those that are switched off "
        "are reported on, and left alone.",
        "schema": _ANY_STRINGS,
        "default": [],
    },
    "dry_run": {
        "title": "Only report",
        "description": "Show what would be fetched, replaced and removed, and change nothing.",
        "schema": {"type": "boolean"},
        "default": False,
    },
    "scrub": {
        "title": "Read all bytes",
        "description": "Compare the digests of all files of these days now, not only of those "
        "whose turn it is.",
        "schema": {"type": "boolean"},
        "default": False,
    },
}


def dag_params(defaults: Mapping[str, Any]) -> dict[str, Param]:
    """Return the params of an ingest DAG with the given defaults."""
    return {name: _param(param, defaults[name]) for name, param in PARAMS.items()}


def reconcile_params() -> dict[str, Param]:
    """Return the params of the DAG that keeps archives true."""
    return {name: _param(param, param["default"]) for name, param in RECONCILE_PARAMS.items()}


def approval_params(ingests: Sequence[str]) -> dict[str, Param]:
    """Return the params of the DAG that asks a person, for the ingests of these DAG ids."""
    return {
        "ingest": Param(
            next(iter(ingests), ""),
            type="string",
            title="Ingest",
            description="Whose removals are asked for.",
            examples=list(ingests),
        ),
        "with_rejected": Param(
            False,
            type="boolean",
            title="Ask again",
            description="Ask for what was rejected, too.",
        ),
    }


def _param(param: Mapping[str, Any], default: Any) -> Param:
    title, description = param["title"], param["description"]
    return Param(default, title=title, description=description, **param["schema"])


def lines(values: Sequence[str] | str | None) -> tuple[str, ...]:
    """Return the entries of a one-a-line field, without the blank ones the form sends along."""
    given = values.splitlines() if isinstance(values, str) else values or ()
    return tuple(text for value in given if (text := value.strip()))
