"""Removes what runs have left in an archive's output and nobody needs any more."""

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

    from airflow_copernicus.runs.archive import Archive
    from copernicus_dataspace.ingest.run_folders import OldRun

logger = logging.getLogger(__name__)

_STAGED_FOR: Final = timedelta(days=7)
"""What a run fetched and never delivered is kept that long, in case somebody clears its tasks."""
_UNENDED: Final = ["queued", "running"]
_ASKED_AT_ONCE: Final = 50
"""Runs that Airflow is asked about in one request, whose address names them."""


def prune(archive: Archive) -> None:
    """Remove what is older than the ingest's `keep_runs_days`: see docs/growth.md.

    That is never of a run that has not ended, nor of one that asks for removals. What cannot be
    removed is told to the log, and tried again by the next night.
    """
    now = archive.began
    try:
        sweep_leases(archive.store, now)
        _prune_staging(archive, now - _STAGED_FOR)
        sweep_usage(archive.store)
        if archive.ingest.keep_runs_days:
            before = now - timedelta(days=archive.ingest.keep_runs_days)
            gone = [*_prune_runs(archive, before)]
            gone += quarantine.prune(archive.store, archive.ingest.dag_id, before, now)
            logger.info(
                "%d records of old runs and old products of the quarantine removed.", len(gone)
            )
    except (DataSpaceError, AirflowRuntimeError) as error:
        logger.warning("What old runs have left is not all removed: %s", error)


def _prune_staging(archive: Archive, before: datetime) -> None:
    for dag_id, old in old_staging(archive.store, before, archive.known).items():
        for one in _ended(archive.context["ti"], dag_id, old):
            archive.store.delete(one.path)


def _prune_runs(archive: Archive, before: datetime) -> Iterator[str]:
    """Remove the records of old runs of the ingest, and what others have noted about it."""
    ingest, store = archive.ingest.dag_id, archive.store
    request = archive.files.removals(archive.began).request
    kept = {archive.run.run_id, *([request.run_id] if request else ())}
    for dag_id, about in ((ingest, ""), (archive.run.owner, ingest), (APPROVAL_DAG_ID, ingest)):
        old = [one for one in old_runs(store, dag_id, before, about) if one.run_id not in kept]
        for one in _ended(archive.context["ti"], dag_id, old):
            store.delete(one.path)
            yield one.path


def _ended(ti: Any, dag_id: str, runs: Sequence[OldRun]) -> Iterator[OldRun]:
    """Give those of the runs that have ended; outside Airflow all have."""
    count = getattr(ti, "get_dr_count", None)
    if count is None:
        yield from runs
        return
    for start in range(0, len(runs), _ASKED_AT_ONCE):
        some = runs[start : start + _ASKED_AT_ONCE]
        has_unended = _has_unended(count, dag_id, some)
        yield from (
            one for one in some if not has_unended or not _has_unended(count, dag_id, [one])
        )


def _has_unended(count: Any, dag_id: str, runs: Iterable[OldRun]) -> bool:
    run_ids = [one.run_id for one in runs]
    asked = {} if None in run_ids else {"run_ids": run_ids}
    return bool(count(dag_id, states=_UNENDED, **asked))
