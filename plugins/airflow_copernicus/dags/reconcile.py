"""Factory of the DAG that compares archives with the catalogue and repairs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import DAG, task, task_group

from airflow_copernicus.config.params import RECONCILE_PARAMS, lines, reconcile_params
from airflow_copernicus.config.setting_errors import reading
from airflow_copernicus.dags.approvals import build_approval_dag
from airflow_copernicus.dags.ingest import DEFAULT_ARGS, TAGS
from airflow_copernicus.links import APPROVAL_DAG_ID, RECONCILE_DAG_ID
from airflow_copernicus.operators import (
    CopernicusAnnounceOperator,
    CopernicusAuditOperator,
    CopernicusRepairOperator,
    CopernicusSettleOperator,
    CopernicusTriggerOperator,
)
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.context import check_run_conf
from airflow_copernicus.runs.outputs import find_ingests
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.errors import (
    ConfigurationError,
    PermanentError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PUBLICATION_DELAY: Final = timedelta(hours=27)
"""Three hours after the ingests' own runs with the default delay, so that these have finished."""
_RUN_TIMEOUT: Final = timedelta(hours=23)
"""Ends a run before the next one starts, even if repairs wait for the quota; they continue alone.

A timeout of the run, because Airflow enforces none of a deferred `TriggerDagRunOperator`.
"""
_MAX_LISTED: Final = 5
_UNREADABLE: Final = "unreadable"
"""Key of the XCom with the reasons why outputs cannot be read."""


def reconcile_dag(
    *, outputs: Sequence[str] = (), ingests: Sequence[str] = (), **dag_arguments: Any
) -> DAG:
    """Return `sentinel2_reconcile`; also creates `sentinel2_approve_removals`.

    Args:
        outputs: URIs of the output stores to maintain. Empty: the default output, the allowed
            outputs, and the outputs of the ingest files in `ingests_folder`.
        ingests: DAG ids of the ingests to maintain. Empty: all that are registered in the outputs.
        **dag_arguments: Passed to the DAG, such as ``on_failure_callback``.
    """
    build_approval_dag(outputs)
    with DAG(
        RECONCILE_DAG_ID,
        description="Finds and repairs missing, damaged, superseded and withdrawn products.",
        doc_md=_DOC,
        schedule=SensingDayTimetable(publication_delay=_PUBLICATION_DELAY),
        start_date=datetime(2015, 6, 27, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=_RUN_TIMEOUT,
        default_args=DEFAULT_ARGS,
        params=reconcile_params(ingests),
        tags=TAGS,
        **dag_arguments,
    ) as dag:
        found: Any = _find_task(outputs)(chosen=dag.param("ingests"))
        _ingest_group(dag, outputs).expand(ingest=found)
        all_outputs_read(found[_UNREADABLE])
    return dag


def _find_task(outputs: Sequence[str]) -> Any:
    @task(retry_policy=RETRY_POLICY)
    def registered_ingests(chosen: Sequence[str] | None, **context: Any) -> list[dict[str, str]]:
        """Return the chosen ingests of the outputs; a further XCom has the unreadable outputs."""
        check_run_conf(context, RECONCILE_PARAMS)
        found = find_ingests(outputs)
        with reading(ingests=chosen):
            names = {*lines(chosen)}
        unknown = names - {one["dag_id"] for one in found.ingests}
        if found.unreadable and (unknown or not found.ingests):
            raise StorageUnavailableError(_in_words(found.unreadable))
        if unknown:
            raise ConfigurationError(found.refusal("ingests", sorted(unknown)))
        context["ti"].xcom_push(key=_UNREADABLE, value=found.unreadable)
        return [one for one in found.ingests if not names or one["dag_id"] in names]

    return registered_ingests


def _ingest_group(dag: DAG, outputs: Sequence[str]) -> Any:
    days: dict[str, Any] = {name: dag.param(name) for name in ("first_day", "last_day")}

    @task_group(group_id="ingest")
    def group(ingest: Any) -> None:
        shared: dict[str, Any] = {
            "ingest": ingest,
            "map_index_template": "{{ task.ingest['dag_id'] }}",
        }
        stores: dict[str, Any] = {"allowed_outputs": outputs}
        audit = CopernicusAuditOperator(
            task_id="audit",
            is_dry_run=dag.param("dry_run"),  # type: ignore[arg-type]  # resolved at run time
            scrub=dag.param("scrub"),  # type: ignore[arg-type]
            **days,
            **shared,
            **stores,
        )
        planned: Any = audit.output
        repair = CopernicusRepairOperator(task_id="repair", planned=planned, retries=1, **shared)
        settle = CopernicusSettleOperator(
            task_id="settle", trigger_rule="all_done", **shared, **stores
        )
        audit >> repair >> settle
        settled: Any = settle.output
        CopernicusAnnounceOperator(task_id="announce", change=settled["change"], **shared, **stores)
        for task_id, run in (("end_request", "ended_request"), ("request", "request")):
            CopernicusTriggerOperator(
                task_id=task_id,
                trigger_dag_id=APPROVAL_DAG_ID,
                planned=settled[run],
                reset_dag_run=True,  # ends a pending request
                **shared,
            )
        all_present(settled=settled)

    return group


@task(
    retry_policy=RETRY_POLICY,
    map_index_template="{{ task.op_kwargs['settled']['ingest'] }}",
)
def all_present(settled: dict[str, Any]) -> None:
    """Fail the run if available products are missing."""
    if settled["missing"]:
        few = ", ".join(settled["missing"][:_MAX_LISTED])
        message = f"{len(settled['missing'])} products are missing: {few}; see {settled['report']}"
        raise PermanentError(message)


@task(retry_policy=RETRY_POLICY)
def all_outputs_read(unreadable: dict[str, str]) -> None:
    """Fail the run if the ingests of an output are unknown."""
    if unreadable:
        raise PermanentError(_in_words(unreadable))


def _in_words(unreadable: Mapping[str, str]) -> str:
    return " ".join(f"{uri} cannot be read: {why}" for uri, why in unreadable.items())


_DOC: Final = """
### What it does
For every ingest that is registered in an output, it compares the archive with the catalogue and
triggers the ingest's own DAG to fetch missing, late and damaged products. Then it removes
superseded and withdrawn products as configured for the ingest, and writes a report; the task
`settle` has a link to it. Removals above the limits of the ingest need approval: also unpause
`sentinel2_approve_removals`.

### Which days
* **Scheduled**: the 30 newest days that are due; once a week all days since the first day delivered
  by a schedule or a backfill, and the days of manual runs.
* **Triggered**: the days of the form; if empty, as scheduled. *Dry run* changes nothing.

### If the run fails
`all_present` lists available products that are missing. For the reason see the run of the ingest's
DAG that `repair` has triggered.
An ingest is registered when its own DAG runs. `all_outputs_read` lists outputs that cannot be read.

### In the documentation
`docs/how-to/reconcile.md`, `docs/reference/reconcile.md`, `docs/reference/archive.md`
"""
