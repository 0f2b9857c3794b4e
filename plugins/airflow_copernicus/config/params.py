"""The params of the DAGs: schema, default, and title and description in the trigger form.

An ingest file may set another default for most of them; a triggered run may override any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

from airflow_copernicus.config.environment import default_output_uri
from copernicus_dataspace.catalogue.versions import LATEST, VERSIONS
from copernicus_dataspace.geometry.area_files import area_names
from copernicus_dataspace.ingest.product_job import Transfer
from copernicus_dataspace.models.band_choices import band_choices
from copernicus_dataspace.models.product import PRODUCT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_STRINGS: Final = {"type": "array", "items": {"type": "string"}}
_ANY_STRINGS: Final = {**_STRINGS, "type": ["null", "array"]}
"""Null too, because the form sends it for a field that was filled in and cleared again."""

_DAY: Final = {"type": ["null", "string"], "format": "date"}
_BAND_CHOICES: Final = band_choices()
_RARE: Final = {"section": "More options"}
"""A section of the form that is closed at first."""

PARAMS: Final[dict[str, dict[str, Any]]] = {
    "first_day": {
        "title": "First day",
        "description": "First UTC sensing day, inclusive; it must have ended. Empty: the UTC day "
        "before the run's logical date, or yesterday if the run has none. Leave empty for a "
        "backfill, which has its own dates.",
        "schema": _DAY,
        "default": None,
    },
    "last_day": {
        "title": "Last day",
        "description": "Last UTC sensing day, inclusive. If only one of the two is set, the run "
        "covers that single day.",
        "schema": _DAY,
        "default": None,
    },
    "area": {
        "title": "Area of interest",
        "description": "The name of an area file, GeoJSON, WKT, or a bounding box "
        "west,south,east,north in degrees (west > east crosses 180°). Optional if tiles are set.",
        "schema": {"type": ["null", "string", "object"]},
        "default": None,
    },
    "max_cloud_cover": {
        "title": "Maximum cloud cover (%)",
        "description": "Inclusive. Empty: no limit; includes products without a cloud cover value.",
        "schema": {"type": ["null", "number"], "minimum": 0, "maximum": 100},
        "default": None,
    },
    "bands": {
        "title": "Bands and files",
        "description": "At least one. Type to search the list. Other files are selected by "
        "patterns for paths inside the product, in the ingest file or under Advanced Options, "
        'Configuration JSON: "bands": ["SCL_20m", "*/MTD_DS.xml"].',
        "schema": {
            **_STRINGS,
            "minItems": 1,
            "examples": list(_BAND_CHOICES),
            "values_display": {name: f"{name}: {words}" for name, words in _BAND_CHOICES.items()},
        },
        "default": ["SCL_20m"],
    },
    "product_type": {
        "title": "Product type",
        "description": "S2MSI2A: surface reflectance and scene classification. S2MSI1C: "
        "top-of-atmosphere reflectance.",
        "schema": {
            "type": "string",
            "enum": list(reversed(PRODUCT_TYPES.values())),
            "values_display": {name: f"{name} ({level})" for level, name in PRODUCT_TYPES.items()},
        },
        "default": PRODUCT_TYPES["L2A"],
    },
    "tiles": {
        "title": "MGRS tiles",
        "description": "Such as T36TXL, one per line. With an area, products must match both.",
        "schema": _ANY_STRINGS,
        "default": [],
    },
    "product_ids": {
        "title": "Product ids",
        "description": "Ids or names of products, one per line. If set, days, area, tiles, cloud "
        "cover, product type and versions are ignored.",
        "schema": {**_ANY_STRINGS, **_RARE},
        "default": [],
    },
    "versions": {
        "title": "Product versions",
        "description": "latest: the newest online version of each acquisition, with all its parts. "
        "all: every version in the catalogue. Products selected by id are downloaded in any "
        "version.",
        "schema": {"type": "string", "enum": list(VERSIONS), **_RARE},
        "default": LATEST,
    },
    "transfer": {
        "title": "Transfer mode",
        "description": "files: only the selected files. archive: the whole product as a zip file.",
        "schema": {"type": "string", "enum": [one.value for one in Transfer], **_RARE},
        "default": "files",
    },
    "keep_archive": {
        "title": "Keep zip file",
        "description": "With transfer mode archive: also store the zip file below archive/.",
        "schema": {"type": "boolean", **_RARE},
        "default": False,
    },
    "output_uri": {
        "title": "Output URI",
        "description": "file:///path, or s3://connection_id@bucket/path for object storage. Must "
        "be an output of an ingest file, SENTINEL2_OUTPUT_URI or in SENTINEL2_OUTPUT_ROOTS, or a "
        "folder below one of these.",
        "schema": {"type": "string", "minLength": 1, **_RARE},
        "default": default_output_uri(),
    },
    "overwrite": {
        "title": "Overwrite",
        "description": "Download files that already exist again, and replace them.",
        "schema": {"type": "boolean", **_RARE},
        "default": False,
    },
}

RUN_ONLY_PARAMS: Final = ("first_day", "last_day", "product_ids")
"""Params that no ingest file may set, because all its runs would fetch the same."""

RECONCILE_PARAMS: Final[dict[str, dict[str, Any]]] = {
    "first_day": {
        "title": "First day",
        "description": "First UTC sensing day to check, inclusive. Empty: the 30 newest days that "
        "are due, and once a week all days of the archive.",
        "schema": _DAY,
        "default": None,
    },
    "last_day": PARAMS["last_day"],
    "ingests": {
        "title": "Ingests",
        "description": "DAG ids of ingests, one per line. Empty: all. Paused ingests are reported "
        "but not changed.",
        "schema": _ANY_STRINGS,
        "default": [],
    },
    "dry_run": {
        "title": "Dry run",
        "description": "Report what would be downloaded, replaced and removed, without changing "
        "anything.",
        "schema": {"type": "boolean"},
        "default": False,
    },
    "scrub": {
        "title": "Verify all files",
        "description": "Read all files of these days and compare their digests now, not only the "
        "files that are due for verification.",
        "schema": {"type": "boolean"},
        "default": False,
    },
}


def dag_params(defaults: Mapping[str, Any], areas: Iterable[Path]) -> dict[str, Param]:
    """Return the params of an ingest DAG.

    Args:
        defaults: Default of every param, by name.
        areas: Folders of area files, which the form suggests.
    """
    choices = {"area": _area_choices(defaults["area"], areas), "bands": _bands(defaults["bands"])}
    return {
        name: _param({**param, "schema": param["schema"] | choices.get(name, {})}, defaults[name])
        for name, param in PARAMS.items()
    }


def _area_choices(default: Any, areas: Iterable[Path]) -> dict[str, list[str]]:
    """Return the suggestions; none for GeoJSON, which a form with suggestions cannot show."""
    names = area_names(areas)
    return {} if isinstance(default, Mapping) or not names else {"examples": names}


def _bands(default: Sequence[str]) -> dict[str, list[str]]:
    """Return the choices: the form has no free text, so an ingest's own patterns are listed."""
    own = [band for band in default if band not in _BAND_CHOICES]
    return {"examples": [*own, *_BAND_CHOICES]}


def reconcile_params(ingests: Sequence[str]) -> dict[str, Param]:
    """Return the params of `sentinel2_reconcile`, by default for these ingests."""
    defaults = {name: param["default"] for name, param in RECONCILE_PARAMS.items()}
    defaults["ingests"] = list(ingests)
    return {name: _param(param, defaults[name]) for name, param in RECONCILE_PARAMS.items()}


def approval_params() -> dict[str, Param]:
    """Return the params of `sentinel2_approve_removals`."""
    return {
        "ingest": Param(
            "",
            type="string",
            title="Ingest",
            description="DAG id of the ingest whose removals need approval.",
        ),
        "with_rejected": Param(
            False,
            type="boolean",
            title="Include rejected removals",
            description="Ask for approval of previously rejected removals again.",
        ),
    }


def _param(param: Mapping[str, Any], default: Any) -> Param:
    title, description = param["title"], param["description"]
    return Param(default, title=title, description=description, **param["schema"])


def lines(values: Sequence[str] | str | None) -> tuple[str, ...]:
    """Return the non-blank entries of a multi-line field, given as a list or as text."""
    given = values.splitlines() if isinstance(values, str) else values or ()
    return tuple(text for value in given if (text := value.strip()))
