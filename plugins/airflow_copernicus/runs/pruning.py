"""Removes expired leases, staged files, run records and quarantined products of an archive."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_copernicus.links import APPROVAL_DAG_ID
from copernicus_dataspace.errors import DataSpaceError
from copernicus_dataspace.ingest.quota import sweep_usage
from copernicus_dataspace.ingest.run_folders import old_runs, old_staging
from copernicus_dataspace.reconcile.removals import quarantine
from copernicus_dataspace.storage.leases import sweep_leases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from airflow_copernicus.runs.ingest_archive import Archive
    from copernicus_dataspace.ingest.run_folders import OldRun

logger = logging.getLogger(__name__)

_KEEP_STAGING: Final = timedelta(days=7)
"""Retention of staged files that were not delivered, in case the tasks are cleared."""
_UNFINISHED: Final = ["queued", "running"]
_RUNS_PER_REQUEST: Final = 50
"""Runs per request to Airflow, whose URL contains their ids."""


def prune(archive: Archive) -> None:
    """Remove files older than the ingest's `keep_runs_days`.

    See docs/how-to/space-and-retention.md. Unfinished runs and pending approval requests are kept.
    Errors are logged; the next nightly run tries again.
    """
    now = archive.began
    try:
        sweep_leases(archive.store, now)
        _prune_staging(archive, now - _KEEP_STAGING)
        sweep_usage(archive.store)
        if archive.ingest.keep_runs_days:
            before = now - timedelta(days=archive.ingest.keep_runs_days)
            removed = [*_prune_runs(archive, before)]
            removed += quarantine.prune(archive.store, archive.ingest.dag_id, before, now)
            logger.info(
                "Removed %d records of old runs and old products in quarantine.", len(removed)
            )
    except (DataSpaceError, AirflowRuntimeError) as error:
        logger.warning("Not all files of old runs could be removed: %s", error)


def _prune_staging(archive: Archive, before: datetime) -> None:
    for dag_id, old in old_staging(archive.store, before, archive.known).items():
        for run in _finished(archive.context["ti"], dag_id, old):
            archive.store.delete(run.path)


def _prune_runs(archive: Archive, before: datetime) -> Iterator[str]:
    """Remove the records of old runs of the ingest, and of other DAGs' runs about it."""
    ingest, store = archive.ingest.dag_id, archive.store
    request = archive.files.removals(archive.began).request
    kept = {archive.run.run_id, *([request.run_id] if request else ())}
    for dag_id, about in ((ingest, ""), (archive.run.owner, ingest), (APPROVAL_DAG_ID, ingest)):
        old = [run for run in old_runs(store, dag_id, before, about) if run.run_id not in kept]
        for run in _finished(archive.context["ti"], dag_id, old):
            store.delete(run.path)
            yield run.path


def _finished(ti: Any, dag_id: str, runs: Sequence[OldRun]) -> Iterator[OldRun]:
    """Yield the finished runs; outside Airflow all runs."""
    count = getattr(ti, "get_dr_count", None)
    if count is None:
        yield from runs
        return
    for start in range(0, len(runs), _RUNS_PER_REQUEST):
        chunk = runs[start : start + _RUNS_PER_REQUEST]
        any_unfinished = _any_unfinished(count, dag_id, chunk)
        yield from (
            run for run in chunk if not any_unfinished or not _any_unfinished(count, dag_id, [run])
        )


def _any_unfinished(count: Any, dag_id: str, runs: Iterable[OldRun]) -> bool:
    run_ids = [run.run_id for run in runs]
    selection = {} if None in run_ids else {"run_ids": run_ids}
    return bool(count(dag_id, states=_UNFINISHED, **selection))
