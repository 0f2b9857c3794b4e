"""The stored reports of all ingests, for the report pages and the command line."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_copernicus.config.environment import (
    allowed_outputs,
    default_output_uri,
    ingests_folder,
)
from airflow_copernicus.config.ingest_files import files_in
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.outputs import find_ingests
from copernicus_dataspace.errors import DataSpaceError, ReportError
from copernicus_dataspace.reports import wording
from copernicus_dataspace.reports.validation import MOST_BYTES, read_report
from copernicus_dataspace.storage.layout import reports_dir

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

logger = logging.getLogger(__name__)

LATEST: Final = "latest"


@dataclass(frozen=True, slots=True)
class KnownIngests:
    """The registered ingests, and those of the ingest files.

    Attributes:
        outputs: URI of the output by DAG id.
        broken: Reason by DAG id why the file of an ingest is invalid.
        unreadable: Messages about outputs whose ingests are unknown.
    """

    outputs: Mapping[str, str]
    broken: Mapping[str, str]
    unreadable: list[str]

    def rows(self, dag_ids: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return the headline of the latest report of each ingest, see `wording.headline`.

        Args:
            dag_ids: The ingests; None for all. An ingest without a readable report has ``why``.
        """
        known = {*self.outputs, *self.broken}
        chosen = known if dag_ids is None else known & {*dag_ids}
        return [{"ingest": dag_id, **self._headline(dag_id)} for dag_id in sorted(chosen)]

    def _headline(self, dag_id: str) -> dict[str, Any]:
        if dag_id in self.broken:
            return {"why": self.broken[dag_id]}
        try:
            content = read_file(dag_id, self.outputs[dag_id], f"{LATEST}.json")
            return wording.headline(read_report(content)) if content else {"why": "no report yet"}
        except ReportError as error:
            return {"why": f"its {LATEST}.json cannot be shown: {error}"}
        except UnreadableOutputError as error:
            return {"why": str(error)}


class UnreadableOutputError(Exception):
    """An output cannot be read."""


def known_ingests() -> KnownIngests:
    """Return all ingests.

    Raises:
        DataSpaceError: The folder of ingest files cannot be read.
    """
    outputs: dict[str, str] = {}
    broken: dict[str, str] = {}
    folder = ingests_folder()
    for file in files_in(folder) if folder.is_dir() else ():
        try:
            outputs[file.dag_id] = Ingest.read(file.path).defaults["output_uri"]
        except DataSpaceError as error:
            broken[file.dag_id] = f"The file of {file.dag_id} is invalid: {error}"
    found = find_ingests([default_output_uri(), *allowed_outputs(), *outputs.values()])
    outputs |= {one["dag_id"]: one["output_uri"] for one in found.ingests}
    unreadable = [f"{uri} cannot be read: {why}" for uri, why in found.unreadable.items()]
    return KnownIngests(outputs, broken, unreadable)


def read_file(dag_id: str, output_uri: str, name: str) -> bytes | None:
    """Return a file of an ingest's reports; None if there is none.

    Raises:
        ReportError: The file is empty, too large, or not a regular file.
        UnreadableOutputError: The output cannot be read.
    """
    path = f"{reports_dir(dag_id)}/{name}"
    try:
        store = open_store(output_uri)
        size = store.size(path)  # 0 for pipes
        content = store.read(path) if size and size <= MOST_BYTES else None
    except Exception as error:  # file systems raise errors of many classes
        logger.warning("The output of %s cannot be read.", dag_id, exc_info=True)
        message = (
            f"The output of {dag_id} cannot be read: {error}. Correct its connection, and restart "
            "the API server."
        )
        raise UnreadableOutputError(message) from error
    if size is not None and not 0 < size <= MOST_BYTES:
        message = f"it has {size:,} bytes; expected 1 to {MOST_BYTES:,}."
        raise ReportError(message)
    return content
