"""Finds the ingests that are registered in the outputs of the installation."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_copernicus.config.allowed_outputs import known_outputs
from airflow_copernicus.config.environment import ingests_folder
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.ingest_registry import read_ingest, registered_at, registered_ingests
from copernicus_dataspace.errors import DataSpaceError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_copernicus.config.ingest_settings import Ingest
    from copernicus_dataspace.storage.store import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundIngests:
    """The registered ingests of several outputs.

    Attributes:
        ingests: ``dag_id`` and ``output_uri`` of each, by DAG id. An ingest that is registered in
            several outputs has the one of its newest run.
        unreadable: Reason by output that could not be read, or by folder of ingest files that name
            further outputs.
    """

    ingests: list[dict[str, str]]
    unreadable: dict[str, str]

    def refusal(self, param: str, unknown: Iterable[str]) -> str:
        """Return the message for unknown DAG ids."""
        known = sorted({one["dag_id"] for one in self.ingests})
        failed = "".join(f" {uri} cannot be read: {why}" for uri, why in self.unreadable.items())
        return (
            f"{param}: unknown ingest {', '.join(map(str, unknown))}; registered ingests: "
            f"{', '.join(known) or 'none'}. An ingest is registered when its DAG runs.{failed}"
        )


def find_ingests(outputs: Iterable[str] = ()) -> FoundIngests:
    """Return the registered ingests; an unreadable output does not hide those of the others.

    Args:
        outputs: Outputs to read; if there are none, all of the installation.
    """
    stores: dict[str, dict[str, Store]] = defaultdict(dict)
    unreadable: dict[str, str] = {}
    uris = [*outputs] or _outputs_of_installation(unreadable)
    for uri in dict.fromkeys(uris):
        try:
            store = open_store(uri, uris)
            for dag_id in registered_ingests(store):
                stores[dag_id][uri] = store
        except Exception as error:  # noqa: BLE001 - file systems raise errors of many classes
            why = str(error) if isinstance(error, DataSpaceError) else repr(error)
            logger.warning("The ingests of %s cannot be read: %s", uri, why)
            unreadable[uri] = why
    ingests = [
        {"dag_id": dag_id, "output_uri": _newest(dag_id, stores[dag_id])}
        for dag_id in sorted(stores)
    ]
    return FoundIngests(ingests, unreadable)


def find_ingest(dag_id: str) -> Ingest | None:
    """Return a registered ingest of the installation; None if there is none."""
    found = [one for one in find_ingests().ingests if one["dag_id"] == dag_id]
    return read_ingest(open_store(found[0]["output_uri"]), **found[0]) if found else None


def _outputs_of_installation(unreadable: dict[str, str]) -> list[str]:
    """Return the outputs; add the folder of ingest files to `unreadable` if one cannot be read."""
    found: list[str] = []
    try:
        for uri in known_outputs():
            found.append(uri)  # noqa: PERF402 - keeps those before an error
    except TransientError as error:
        unreadable[str(ingests_folder())] = str(error)
    return found


def _newest(dag_id: str, stores: Mapping[str, Store]) -> str:
    """Return the output of the newest record; the first one if there is no other."""
    if len(stores) == 1:
        return next(iter(stores))
    times = {uri: registered_at(store, dag_id) for uri, store in stores.items()}
    return max(times, key=lambda uri: times[uri])
