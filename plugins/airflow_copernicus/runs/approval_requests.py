"""Runs of `sentinel2_approve_removals`: their ids, configuration and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_copernicus.links import APPROVAL_DAG_ID, APPROVAL_TASK_ID, approval_path
from copernicus_dataspace.reconcile.removal_limits import RequestState

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_copernicus.runs.ingest_archive import Archive
    from copernicus_dataspace.reconcile.removals.removal_record import RemovalRecord

_ANSWERED: Final = ["success", "failed", "skipped", "upstream_failed", "removed"]


def new_run_id(dag_id: str, began: datetime) -> str:
    """Return the run id of an approval request for an ingest."""
    return f"{dag_id}__{began:%Y-%m-%dT%H%M%SZ}"


def trigger_kwargs(dag_id: str, run_id: str | None) -> dict[str, Any] | None:
    """Return the arguments to trigger an approval run, or to clear one and end its request."""
    return None if run_id is None else {"trigger_run_id": run_id, "conf": {"ingest": dag_id}}


def state_of(ti: Any, run_id: str) -> RequestState:
    """Return the state of an approval run.

    Args:
        ti: The running task instance.
        run_id: The approval run.
    """
    if not hasattr(ti, "get_dr_count"):  # outside Airflow
        return RequestState.WAITING
    if ti.get_dr_count(APPROVAL_DAG_ID, run_ids=[run_id], states=["queued"]):
        return RequestState.QUEUED
    if not ti.get_dr_count(APPROVAL_DAG_ID, run_ids=[run_id], states=["running"]):
        return RequestState.ENDED
    answered = ti.get_ti_count(
        APPROVAL_DAG_ID, task_ids=[APPROVAL_TASK_ID], run_ids=[run_id], states=_ANSWERED
    )
    return RequestState.ENDED if answered else RequestState.WAITING


def approval_status(archive: Archive, removals: RemovalRecord) -> dict[str, Any]:
    """Return the pending and rejected removals for a report.

    ``waiting`` and ``rejected`` (numbers of products), ``since`` (an ISO 8601 time), ``path`` (of
    the required action, relative to the base URL), ``where`` (task and DAG), ``switch_on`` (the
    DAG to unpause, or empty) and ``is_lost`` (whether the record of recent removals is lost).
    """
    request = removals.request
    get_dag = getattr(archive.context["ti"], "get_dag", None)
    is_off = bool(request and get_dag and get_dag(APPROVAL_DAG_ID).is_paused)
    return {
        "waiting": len(request.removals) if request else 0,
        "since": request.since.isoformat(timespec="seconds") if request else None,
        "path": approval_path(request.run_id) if request else None,
        "where": f"task {APPROVAL_TASK_ID} of {APPROVAL_DAG_ID}",
        "switch_on": APPROVAL_DAG_ID if is_off else "",
        "rejected": len(removals.rejected),
        "is_lost": removals.is_lost(archive.began),
    }
