"""Factory of the DAG that compares archives with the catalogue and repairs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task, task_group

from airflow_copernicus.config.ingest_files import IngestFile, files_in
from airflow_copernicus.config.ingest_settings import read_all
from airflow_copernicus.config.params import reconcile_params
from airflow_copernicus.dags.ingest import DEFAULT_ARGS, TAGS, day_asset
from airflow_copernicus.links import APPROVAL_DAG_ID, RECONCILE_DAG_ID
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.ingest_archive import read_changes
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

_EXTRA_DELAY: Final = timedelta(hours=3)
"""After the scheduled start of the ingests' own runs, so that these have finished."""
_RUN_TIMEOUT: Final = timedelta(hours=23)
"""Ends a run before the next one starts, even if repairs wait for the quota; they continue alone.

A timeout of the run, because Airflow enforces none of a deferred `TriggerDagRunOperator`.
"""
_POKE_INTERVAL_S: Final = 5
_MAX_LISTED: Final = 5


def build_reconcile_dag(folder: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG for the ingest files of a folder; further arguments are passed to it.

    Raises:
        ConfigurationError: The folder cannot be read.
    """
    delays = [ingest.timetable.publication_delay for ingest in read_all(folder)]
    delay = max(delays, default=timedelta(days=1)) + _EXTRA_DELAY
    with DAG(
        RECONCILE_DAG_ID,
        description="Finds and repairs missing, damaged, superseded and withdrawn products.",
        doc_md=_DOC,
        schedule=SensingDayTimetable(publication_delay=delay),
        start_date=datetime(2015, 6, 27, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=_RUN_TIMEOUT,
        default_args=DEFAULT_ARGS,
        params=reconcile_params(),
        tags=TAGS,
        **dag_arguments,
    ) as dag:
        for ingest in files_in(folder):
            _group(dag, ingest)
    return dag


def _group(dag: DAG, ingest: IngestFile) -> None:
    days: dict[str, Any] = {name: dag.param(name) for name in ("first_day", "last_day")}
    chosen: Any = dag.param("ingests")

    @task_group(group_id=ingest.dag_id.replace(".", "-"))  # group ids have no dots
    def group() -> None:
        audit = CopernicusAuditOperator(
            task_id="audit",
            ingest_file=ingest.path,
            ingests=chosen,
            is_dry_run=dag.param("dry_run"),  # type: ignore[arg-type]  # resolved at run time
            scrub=dag.param("scrub"),  # type: ignore[arg-type]
            **days,
        )
        repair = TriggerDagRunOperator.partial(
            task_id="repair",
            trigger_dag_id=ingest.dag_id,
            logical_date=None,
            skip_when_already_exists=True,  # a retry continues to wait for the run
            wait_for_completion=True,
            allowed_states=["success", "failed"],
            failed_states=[],  # else Airflow retries the task if the run fails
            poke_interval=_POKE_INTERVAL_S,
            deferrable=True,
            max_active_tis_per_dagrun=1,  # else they would use all active runs of the ingest
            retries=1,
        ).expand_kwargs(audit.output)
        settle = CopernicusSettleOperator(
            task_id="settle",
            ingest_file=ingest.path,
            ingests=chosen,
            trigger_rule="all_done",
        )
        audit >> repair >> settle

        announce(ingest.dag_id, settle.output)
        ask(settle.output)
        all_present(settle.output)  # type: ignore[arg-type]

    group()


def announce(dag_id: str, settled: Any) -> None:
    """Add the tasks that announce replaced and withdrawn products to downstream DAGs.

    Args:
        dag_id: The ingest.
        settled: Output of the task that removed them, for this or another ingest.
    """
    asset = day_asset(dag_id)

    @task
    def changed_days(settled: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a reference to the changes of each changed day."""
        days: list[dict[str, Any]] = settled["changed"]
        return days if settled["ingest"] == dag_id else []

    @task(task_id="announce", outlets=[asset], retry_policy=RETRY_POLICY)
    def announce_change(change: dict[str, Any], outlet_events: Any = None) -> None:
        """Announce which products of a day were replaced or withdrawn."""
        changes = read_changes(change)
        event = outlet_events[asset]
        event.add_partitions(change["days"])
        event.extra = changes

    announce_change.expand(change=changed_days(settled))


def ask(settled: Any) -> None:
    """Add the tasks that request approval of removals above the limits."""

    @task
    def questions(settled: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the runs to trigger; none if the current request is already pending."""
        asks: list[dict[str, Any]] = settled["asks"]
        return asks

    TriggerDagRunOperator.partial(
        task_id="ask",
        trigger_dag_id=APPROVAL_DAG_ID,
        logical_date=None,
        reset_dag_run=True,  # ends the pending request
    ).expand_kwargs(questions(settled))


@task(retry_policy=RETRY_POLICY)
def all_present(settled: dict[str, Any]) -> None:
    """Fail the run if available products are missing."""
    if settled["missing"]:
        few = ", ".join(settled["missing"][:_MAX_LISTED])
        message = f"{len(settled['missing'])} products are missing: {few}; see {settled['report']}"
        raise PermanentError(message)


_DOC: Final = """
### What it does
For every ingest, it compares the archive with the catalogue and triggers the ingest's own DAG to
fetch missing, late and damaged products. Then it removes superseded and withdrawn products as
configured in the ingest file, and writes a report; the task `settle` has a link to it. Removals
above the limits of the ingest need approval: also unpause `sentinel2_approve_removals`.

### Which days
* **Scheduled**: the 30 newest days that are due; once a week all days since the first day delivered
  by a schedule or a backfill, and the days of manual runs.
* **Triggered**: the days of the form; if empty, as scheduled. *Dry run* changes nothing.

### If the run fails
`all_present` lists available products that are missing. For the reason see the run of the ingest's
DAG that `repair` has triggered.

### In the documentation
`docs/how-to/reconcile.md`, `docs/reference/reconcile.md`, `docs/reference/archive.md`
"""
