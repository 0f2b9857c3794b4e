"""Checks output URIs against the outputs that this installation allows.

Users who may trigger a run choose its params. Where runs may write is decided by the authors of the
DAGs and ingest files, and by the options `output_uri` and `allowed_outputs` of the installation.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

from airflow_copernicus.config.environment import (
    allowed_outputs,
    default_output_uri,
    ingests_folder,
)
from airflow_copernicus.config.ingest_files import files_in
from airflow_copernicus.config.ingest_settings import read_in_task
from airflow_copernicus.config.output_uri import Place
from copernicus_dataspace.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)


def check_output_allowed(output_uri: str, declared: Iterable[str] = ()) -> None:
    """Check that an output is allowed; do not open it.

    Args:
        output_uri: The output.
        declared: Outputs that the author of the DAG declared.

    Raises:
        ConfigurationError: It is not allowed, or the URI is invalid.
        TransientError: An ingest file cannot be read at present.
    """
    try:
        place = Place.of(output_uri)
    except ConfigurationError as error:
        message = f"output_uri {error}"
        raise ConfigurationError(message) from error
    if any(place.is_within(root) for root in _places(itertools.chain(declared, known_outputs()))):
        return
    message = (
        f"output_uri {output_uri!r} is not allowed in this installation. Use the output of an "
        "ingest, the default output, or a folder below one of these; or ask an administrator to "
        "add it to allowed_outputs in the section [copernicus] of airflow.cfg, a comma-separated "
        "list of URIs."
    )
    raise ConfigurationError(message)


def known_outputs() -> Iterator[str]:
    """Yield the outputs of the installation; those of ingest files last, as they are read slowest.

    Raises:
        TransientError: An ingest file cannot be read at present; raised after all other outputs.
    """
    yield default_output_uri()
    yield from allowed_outputs()
    folder, failed = ingests_folder(), None
    for file in files_in(folder) if folder.is_dir() else ():
        try:
            ingest = read_in_task(file.path)
        except ConfigurationError:  # a broken ingest never writes
            continue
        except TransientError as error:
            failed = error
        else:
            yield ingest.defaults["output_uri"]
    if failed:
        raise failed


def _places(uris: Iterable[str]) -> Iterator[Place]:
    for uri in uris:
        try:
            yield Place.of(uri)
        except ConfigurationError as error:
            logger.warning("An allowed output is ignored: %s", error)
