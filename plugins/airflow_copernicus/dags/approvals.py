"""Factory of the DAG in which a user approves removals above the limits of an ingest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import HITLBranchOperator
from airflow.sdk import DAG

from airflow_copernicus.config.params import approval_params
from airflow_copernicus.dags.ingest import DEFAULT_ARGS, TAGS
from airflow_copernicus.links import APPROVAL_DAG_ID, APPROVAL_TASK_ID
from airflow_copernicus.operators import (
    CopernicusAnnounceOperator,
    CopernicusAskOperator,
    CopernicusRemoveOperator,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESPONSE_TIMEOUT: Final = timedelta(days=30)
_RETRY_DELAY: Final = timedelta(seconds=10)
"""Airflow loses a response that arrives before the task is deferred; the retry asks again."""
_ACTIVE_RUNS: Final = 200
"""A run of each ingest may wait for a response."""
_APPROVE: Final = "Approve"
_REJECT: Final = "Reject"


def build_approval_dag(outputs: Sequence[str] = (), **dag_arguments: Any) -> DAG:
    """Return the DAG for the ingests of outputs; further arguments are passed to it.

    Args:
        outputs: As for `reconcile_dag`.
        **dag_arguments: Passed to the DAG.
    """
    with DAG(
        APPROVAL_DAG_ID,
        description="Approval of removals above the limits of an ingest.",
        doc_md=_DOC,
        schedule=None,
        start_date=datetime(2015, 6, 27, tzinfo=UTC),
        catchup=False,
        max_active_runs=_ACTIVE_RUNS,
        default_args=DEFAULT_ARGS,
        params=approval_params(),
        tags=TAGS,
        **dag_arguments,
    ) as dag:
        params: dict[str, Any] = {name: dag.param(name) for name in ("ingest", "with_rejected")}
        plan = CopernicusAskOperator(task_id="plan", outputs=outputs, **params)
        question: Any = plan.output
        approve = HITLBranchOperator(
            task_id=APPROVAL_TASK_ID,
            subject=question["subject"],
            body=question["body"],
            options=[_APPROVE, _REJECT],
            options_mapping={_APPROVE: "remove", _REJECT: "keep"},
            defaults=_REJECT,
            response_timeout=_RESPONSE_TIMEOUT,
            retry_delay=_RETRY_DELAY,
        )
        remove, keep = (
            CopernicusRemoveOperator(
                task_id=task_id, outputs=outputs, is_approved=is_approved, **params
            )
            for task_id, is_approved in (("remove", True), ("keep", False))
        )
        plan >> approve >> [remove, keep]
        removed: Any = remove.output
        CopernicusAnnounceOperator(
            task_id="announce",
            ingest=removed["ingest"],
            change=removed["change"],
            allowed_outputs=outputs,
        )
    return dag


_DOC: Final = """
### What it does
`sentinel2_reconcile` removes superseded and withdrawn products up to the limits of each ingest
(`max_removals`). For removals above the limits it triggers this DAG, which asks for approval of the
whole plan: on the home page of the UI under *Required Actions*, and in the tab *Required Actions*
of the task `approve`. The task is deferred and needs no worker. A newer plan starts a new run,
which replaces the earlier request.

* **Approve**: catalogue and archive are compared again. Products that both comparisons list are
  removed, if every byte of their replacements is verified.
* **Reject**, or no response in 30 days: the products are kept. They are not requested again until
  they change. To request them again, trigger this DAG with *Include rejected removals*.

### In the documentation
`docs/how-to/reconcile.md`, `docs/how-to/space-and-retention.md`
"""
