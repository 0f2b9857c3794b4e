"""Builds the DAG that keeps the archives of all ingests true: audit, repair, settle, announce."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from airflow_copernicus.config.ingest_files import IngestFile, files_in
from airflow_copernicus.config.ingests import read_all
from airflow_copernicus.config.params import reconcile_params
from airflow_copernicus.dags.ingest import DEFAULT_ARGS, TAGS, day_asset
from airflow_copernicus.links import APPROVAL_DAG_ID, RECONCILE_DAG_ID
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.runs.archive import read_changes
from airflow_copernicus.timetables import SensingDayTimetable

if TYPE_CHECKING:
    from pathlib import Path

_AFTER_THE_DAY: Final = timedelta(hours=3)
"""From the start of the day's own runs, which should have ended by then."""
_LONGEST: Final = timedelta(hours=23)
"""A night ends before the next one, though repairs may wait for the quota and go on by themselves.

Airflow keeps no time of a task that waits for another DAG's run, hence of the run.
"""
_LOOK_EVERY_S: Final = 5
_NAMED: Final = 5


def build_reconcile_dag(folder: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG for the ingest files of a folder; further arguments are passed to it.

    Raises:
        ConfigurationError: The folder cannot be read.
    """
    delays = [ingest.timetable.publication_delay for ingest in read_all(folder)]
    delay = max(delays, default=timedelta(days=1)) + _AFTER_THE_DAY
    with DAG(
        RECONCILE_DAG_ID,
        description="What the archives lack, have damaged, or should no longer hold; and mends it.",
        doc_md=_DOC,
        schedule=SensingDayTimetable(publication_delay=delay),
        start_date=datetime(2015, 6, 27, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=_LONGEST,
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

    @task_group(group_id=ingest.dag_id.replace(".", "-"))  # its id may have no dots
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
            skip_when_already_exists=True,  # a second try of this task lets the run go on
            wait_for_completion=True,
            allowed_states=["success", "failed"],
            failed_states=[],  # or Airflow fails the task where the run has failed, and tries again
            poke_interval=_LOOK_EVERY_S,
            deferrable=True,
            max_active_tis_per_dagrun=1,  # or they would fill the ingest's active runs
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
    """Add the tasks that tell downstream which products of an ingest's days went.

    Args:
        dag_id: The ingest.
        settled: Output of the task that removed them, of this ingest or of another.
    """
    asset = day_asset(dag_id)

    @task
    def changed_days(settled: dict[str, Any]) -> list[dict[str, Any]]:
        """Return where to read what changed, for each day on which anything did."""
        days: list[dict[str, Any]] = settled["changed"]
        return days if settled["ingest"] == dag_id else []

    @task(task_id="announce", outlets=[asset], retry_policy=RETRY_POLICY)
    def tell(change: dict[str, Any], outlet_events: Any = None) -> None:
        """Tell downstream which products of a day were replaced or withdrawn."""
        changes = read_changes(change)
        event = outlet_events[asset]
        event.add_partitions(change["days"])
        event.extra = changes

    tell.expand(change=changed_days(settled))


def ask(settled: Any) -> None:
    """Add the tasks that ask a person for the removals beyond the limits."""

    @task
    def questions(settled: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the runs to be started; none where the right question waits already."""
        asks: list[dict[str, Any]] = settled["asks"]
        return asks

    TriggerDagRunOperator.partial(
        task_id="ask",
        trigger_dag_id=APPROVAL_DAG_ID,
        logical_date=None,
        reset_dag_run=True,  # a question that waits ends so
    ).expand_kwargs(questions(settled))


@task
def all_present(settled: dict[str, Any]) -> None:
    """Make the run fail where products could be had and are not there."""
    if settled["missing"]:
        few = ", ".join(settled["missing"][:_NAMED])
        message = f"{len(settled['missing'])} products are missing: {few}; see {settled['report']}"
        raise AirflowFailException(message)


_DOC: Final = """
### What it does
For every ingest: asks the catalogue what the archive should hold, compares, and lets the ingest's
own DAG fetch what is missing, late or damaged. Then takes out what was superseded or withdrawn,
as the ingest's file says, and writes a report, which the task `settle` links to. What is more than
the ingest's limits let go is asked for: switch `sentinel2_approve_removals` on, too.

### Which days
* **Scheduled**: the thirty newest days that are due; once a week all days since the first one that
  a schedule or a backfill has delivered, and those of runs by hand.
* **Triggered**: the days of the form; left empty, as scheduled. *Only report* changes nothing.

### When it is red
`all_present` names what could be had and is not there; the run of the ingest's DAG that `repair`
has triggered says why.
"""
