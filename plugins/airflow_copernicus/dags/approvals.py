"""Builds the DAG in which a person approves removals beyond the limits of an ingest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import HITLBranchOperator
from airflow.sdk import DAG, TaskGroup

from airflow_copernicus.config.ingests import read_all
from airflow_copernicus.config.params import approval_params
from airflow_copernicus.dags.ingest import DEFAULT_ARGS, TAGS
from airflow_copernicus.dags.reconcile import announce
from airflow_copernicus.links import APPROVAL_DAG_ID, APPROVAL_TASK_ID
from airflow_copernicus.operators import CopernicusAskOperator, CopernicusRemoveOperator

if TYPE_CHECKING:
    from pathlib import Path

_ANSWER_WITHIN: Final = timedelta(days=30)
_ASK_AGAIN_AFTER: Final = timedelta(seconds=10)
"""Where Airflow loses an answer: one that comes before the worker has put the task down."""
_RUNS_BY_HAND: Final = 16
"""Beside the one of each ingest that may wait for its answer."""
_APPROVE: Final = "Approve"
_REJECT: Final = "Reject"


def build_approval_dag(folder: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG for the ingest files of a folder; further arguments are passed to it."""
    ingests = [ingest.dag_id for ingest in read_all(folder)]
    with DAG(
        APPROVAL_DAG_ID,
        description="A person approves removals that are more than an ingest's limits allow.",
        doc_md=_DOC,
        schedule=None,
        start_date=datetime(2015, 6, 27, tzinfo=UTC),
        catchup=False,
        max_active_runs=len(ingests) + _RUNS_BY_HAND,
        default_args=DEFAULT_ARGS,
        params=approval_params(ingests),
        tags=TAGS,
        **dag_arguments,
    ) as dag:
        asked: dict[str, Any] = {name: dag.param(name) for name in ("ingest", "with_rejected")}
        plan = CopernicusAskOperator(task_id="plan", ingest_folder=folder, **asked)
        question: Any = plan.output
        approve = HITLBranchOperator(
            task_id=APPROVAL_TASK_ID,
            subject=question["subject"],
            body=question["body"],
            options=[_APPROVE, _REJECT],
            options_mapping={_APPROVE: "remove", _REJECT: "keep"},
            defaults=_REJECT,
            response_timeout=_ANSWER_WITHIN,
            retry_delay=_ASK_AGAIN_AFTER,
        )
        remove, keep = (
            CopernicusRemoveOperator(
                task_id=task_id, ingest_folder=folder, is_approved=is_approved, **asked
            )
            for task_id, is_approved in (("remove", True), ("keep", False))
        )
        plan >> approve >> [remove, keep]
        with TaskGroup("downstream"):  # an ingest may be named as one of the tasks
            for dag_id in ingests:
                with TaskGroup(dag_id.replace(".", "-")):  # its id may have no dots
                    announce(dag_id, remove.output)
    return dag


_DOC: Final = """
### What it does
`sentinel2_reconcile` removes superseded and withdrawn products up to the limits of each ingest
(`max_removals`). What is more it does not do, but triggers this DAG, which asks once for the whole
plan: on the start page of the UI under *Required Actions*, or in the tab of that name of the task
`approve`. It waits without a worker. A newer plan is asked by a run of its own, and the earlier
question ends.

* **Approve**: the catalogue is asked and the archive looked at anew; what both plans name is
  removed, where every byte of what replaces it is found right.
* **Reject**, or no answer in thirty days: all of it is kept, and not asked for again until
  something about it changes. Trigger this DAG with *Ask again* for what was rejected.
"""
