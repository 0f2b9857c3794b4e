"""Knows which places the runs of this installation may write to.

A run's settings come from whoever may trigger it; where files may go is for those to say who keep
the installation: by the ingest files and by two environment variables.
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
from airflow_copernicus.config.ingests import read_in_task
from airflow_copernicus.config.output_uri import Place
from copernicus_dataspace.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_copernicus.config.ingests import Ingest

logger = logging.getLogger(__name__)


def refuse_outside(output_uri: str) -> None:
    """Refuse an output that neither an ingest file nor the environment allows; opens nothing.

    Raises:
        ConfigurationError: Names the settings that decide, or what is wrong with the URI.
        TransientError: An ingest file that may allow it cannot be read now.
    """
    try:
        place = Place.of(output_uri)
    except ConfigurationError as error:
        message = f"output_uri {error}"
        raise ConfigurationError(message) from error
    if any(place.is_within(root) for root in _roots()):
        return
    message = (
        f"output_uri {output_uri!r} is outside of what this installation allows. Take an output of "
        "an ingest file or SENTINEL2_OUTPUT_URI, or a folder below one; or let whoever keeps the "
        f"installation add it to {OUTPUT_ROOTS}, a list of URIs with commas between them."
    )
    raise ConfigurationError(message)


def refuse_shared(output_uri: str, dag_id: str) -> None:
    """Refuse an output that one ingest is to have for itself, and another one has, too.

    Raises:
        ConfigurationError: Names the others.
        TransientError: An ingest file that may have it cannot be read now.
    """
    place = Place.of(output_uri)
    others = [
        ingest.dag_id
        for ingest in _ingests()
        if ingest.dag_id != dag_id and _is_same(place, ingest.defaults["output_uri"])
    ]
    if others:
        message = (
            f"one_run_at_a_time: {', '.join(others)} writes to {output_uri!r}, too; give each "
            "ingest an output of its own."
        )
        raise ConfigurationError(message)


def _is_same(place: Place, output_uri: str) -> bool:
    try:
        other = Place.of(output_uri)
    except ConfigurationError:  # it writes nowhere
        return False
    return (other.protocol, other.parts) == (place.protocol, place.parts)


def _roots() -> Iterator[Place]:
    """Give what is allowed; ingest files, which take longest to read, come last."""
    yield from _usable("SENTINEL2_OUTPUT_URI", default_output_uri())
    for uri in output_roots():
        yield from _usable(OUTPUT_ROOTS, uri)
    for ingest in _ingests():
        yield from _usable(ingest.path.name, ingest.defaults["output_uri"])


def _ingests() -> Iterator[Ingest]:
    """Give the ingests whose files can be used; the others write nowhere."""
    for file in files_in(INGESTS):
        with contextlib.suppress(ConfigurationError):
            yield read_in_task(file.path)


def _usable(source: str, uri: str) -> Iterator[Place]:
    try:
        yield Place.of(uri)
    except ConfigurationError as error:
        logger.warning("%s allows nothing: %s", source, error)
