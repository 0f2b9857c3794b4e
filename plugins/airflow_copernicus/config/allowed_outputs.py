"""Checks output URIs against the outputs that this installation allows.

Users who may trigger a run choose its params. Administrators decide where runs may write: by the
ingest files and by two environment variables.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from airflow_copernicus.config.environment import (
    INGESTS,
    OUTPUT_ROOTS,
    default_output_uri,
    output_roots,
)
from airflow_copernicus.config.ingest_files import files_in
from airflow_copernicus.config.ingest_settings import read_in_task
from airflow_copernicus.config.output_uri import Place
from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_copernicus.config.ingest_settings import Ingest

logger = logging.getLogger(__name__)


def check_output_allowed(output_uri: str) -> None:
    """Check that an ingest file or the environment allows an output; do not open it.

    Raises:
        ConfigurationError: It is not allowed, or the URI is invalid.
        TransientError: An ingest file cannot be read at present.
    """
    try:
        place = Place.of(output_uri)
    except ConfigurationError as error:
        message = f"output_uri {error}"
        raise ConfigurationError(message) from error
    if any(place.is_within(root) for root in _roots()):
        return
    message = (
        f"output_uri {output_uri!r} is not allowed in this installation. Use the output of an "
        "ingest file, SENTINEL2_OUTPUT_URI, or a folder below one of these; or ask an "
        f"administrator to add it to {OUTPUT_ROOTS}, a comma-separated list of URIs."
    )
    raise ConfigurationError(message)


def check_output_not_shared(output_uri: str, dag_id: str) -> None:
    """Check that no other ingest writes to the output of an ingest with `one_run_at_a_time`.

    Raises:
        ConfigurationError: Another ingest has the same output.
        TransientError: An ingest file cannot be read at present.
    """
    place = Place.of(output_uri)
    others = [
        ingest.dag_id
        for ingest in _ingests()
        if ingest.dag_id != dag_id and _has_output(place, ingest.defaults["output_uri"])
    ]
    if others:
        message = (
            f"one_run_at_a_time: {output_uri!r} is also the output of {', '.join(others)}; give "
            "each ingest its own output."
        )
        raise ConfigurationError(message)


def _has_output(place: Place, output_uri: str) -> bool:
    try:
        other = Place.of(output_uri)
    except ConfigurationError:  # an ingest with an invalid output never writes
        return False
    return (other.protocol, other.parts) == (place.protocol, place.parts)


def _roots() -> Iterator[Place]:
    """Yield the allowed outputs; those of ingest files last, because reading them is slowest."""
    yield from _valid_place("SENTINEL2_OUTPUT_URI", default_output_uri())
    for uri in output_roots():
        yield from _valid_place(OUTPUT_ROOTS, uri)
    for ingest in _ingests():
        yield from _valid_place(ingest.path.name, ingest.defaults["output_uri"])


def _ingests() -> Iterator[Ingest]:
    """Yield the valid ingests; a broken ingest never writes."""
    for file in files_in(INGESTS):
        with contextlib.suppress(ConfigurationError):
            yield read_in_task(file.path)


def _valid_place(source: str, uri: str) -> Iterator[Place]:
    try:
        yield Place.of(uri)
    except ConfigurationError as error:
        logger.warning("%s is ignored as an allowed output: %s", source, error)
