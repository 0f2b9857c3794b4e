"""Factory of ingest DAGs: search, then download and extract per batch, then publish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import DAG, Asset, task, task_group
from airflow.sdk.exceptions import AirflowException

from airflow_copernicus.config.environment import AREAS
from airflow_copernicus.config.ingest_files import file_of, files_in, shown_name
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.config.params import dag_params
from airflow_copernicus.hooks.connection_limits import POOL
from airflow_copernicus.notifications.run_report import SEARCH
from airflow_copernicus.operators import (
    QUERY_FIELDS,
    WANTED_FIELDS,
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from airflow_copernicus.priority import TODAY_FIRST
from airflow_copernicus.retry_policy import RETRY_POLICY
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.errors import ConfigurationError, DataSpaceError, PermanentError

if TYPE_CHECKING:
    from pathlib import Path

TAGS: Final = ["sentinel-2", "copernicus"]

_ACTIVE_RUNS: Final = 4
"""Allows a manual run beside a scheduled one; the pool limits the transfers."""

_MAX_REASON_LENGTH: Final = 100
"""Characters of a reason in the display name, which the list of DAGs shows."""

DEFAULT_ARGS: Final = {
    "retries": 6,
    "retry_delay": timedelta(minutes=2),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
    "weight_rule": TODAY_FIRST,
}
"""Retries for more than two hours: outages of the service last minutes to hours."""

_SEARCH_TIMEOUT: Final = timedelta(hours=1)
_DOWNLOAD_TIMEOUT: Final = timedelta(hours=6)


def build_dags(folder: Path, **dag_arguments: Any) -> dict[str, DAG]:
    """Return the DAGs of the ingest files of a folder by DAG id, see `dag_of`.

    Raises:
        ConfigurationError: The folder cannot be read.
    """
    dags = (dag_of(file.path, **dag_arguments) for file in files_in(folder))
    return {dag.dag_id: dag for dag in dags}


def dag_of(path: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG of an ingest file; the DAG of an invalid file fails daily with the reason.

    Args:
        path: The file, whose name is the DAG id.
        **dag_arguments: Passed to the DAG, such as ``on_failure_callback`` and ``deadline``.
    """
    try:
        return build_dag(Ingest.read(path), **dag_arguments)
    except (DataSpaceError, AirflowException, ValueError) as error:
        return _broken_dag(path, str(error), dag_arguments)


def day_asset(dag_id: str) -> Asset:
    """Return the asset of an ingest's complete sensing days.

    The partitions of its events are days, ``YYYY-MM-DD``.
    """
    return Asset(f"sentinel2_day_{dag_id}", uri=f"x-copernicus://{dag_id}/day")


def build_dag(ingest: Ingest, **dag_arguments: Any) -> DAG:
    """Return the DAG of an ingest; further arguments are passed to the DAG."""
    with DAG(
        ingest.dag_id,
        description=ingest.description,
        doc_md=_DOC,
        schedule=ingest.timetable,
        start_date=ingest.start_day,
        catchup=ingest.catchup,
        max_active_runs=1 if ingest.one_run_at_a_time else _ACTIVE_RUNS,
        default_args=DEFAULT_ARGS,
        params=dag_params(ingest.defaults, AREAS),
        tags=TAGS,
        **dag_arguments,
    ) as dag:
        params: dict[str, Any] = {name: dag.param(name) for name in ingest.defaults}
        wanted = {name: params[name] for name in WANTED_FIELDS}
        search = CopernicusSearchOperator(
            task_id=SEARCH,
            bands=params["bands"],
            output_uri=params["output_uri"],
            copernicus_conn_id=ingest.copernicus_conn_id,
            connections=ingest.connections,
            one_run_at_a_time=ingest.one_run_at_a_time,
            execution_timeout=_SEARCH_TIMEOUT,
            **{name: params[name] for name in QUERY_FIELDS},
        )

        @task_group(group_id="product")
        def product(batch: Any) -> None:
            label = "{{ task.batch['label'] }}"
            download = CopernicusDownloadOperator(
                task_id="download",
                batch=batch,
                map_index_template=label,
                copernicus_conn_id=ingest.copernicus_conn_id,
                pool=POOL,
                pool_slots=ingest.connections,
                execution_timeout=_DOWNLOAD_TIMEOUT,
                **wanted,
            )
            extract = CopernicusExtractOperator(
                task_id="extract",
                batch=batch,
                map_index_template=label,
                trigger_rule="all_done",
                **wanted,
            )
            download >> extract

        publish = CopernicusPublishOperator(
            task_id="publish",
            search_id=search.task_id,
            output_uri=params["output_uri"],
            trigger_rule="all_done",
            complete_for=ingest.defaults,
            outlets=[day_asset(ingest.dag_id)],
        )
        search >> product.expand(batch=search.output) >> publish
        all_delivered(published=publish.output)  # type: ignore[arg-type]  # resolved at run time
    return dag


@task(retry_policy=RETRY_POLICY)
def all_delivered(published: dict[str, Any]) -> None:
    """Fail the run if products are missing, even though complete days were announced."""
    if published["missing"]:
        message = f"missing: {', '.join(published['missing'])}; see {published['summary']}"
        raise PermanentError(message)


def _broken_dag(path: Path, reason: str, dag_arguments: dict[str, Any]) -> DAG:
    dag_id, name = file_of(path).dag_id, shown_name(path)
    short = _shortened(reason.removeprefix(f"{name}: ").removeprefix(f"{name} "))
    with DAG(
        dag_id,
        dag_display_name=f"{dag_id if dag_id == path.stem else name} (broken: {short})",
        description=f"Broken: {reason}",
        doc_md=f"This ingest file cannot be used:\n\n    {reason}",
        schedule=SensingDayTimetable(publication_delay=timedelta(0)),
        start_date=datetime(2015, 1, 1, tzinfo=UTC),
        catchup=False,
        tags=[*TAGS, "broken"],
        **dag_arguments,
    ) as dag:

        @task(task_id="broken_ingest_file", retry_policy=RETRY_POLICY)
        def fail() -> None:
            raise ConfigurationError(reason)

        fail()
    return dag


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_REASON_LENGTH else f"{text[:_MAX_REASON_LENGTH]}..."


_DOC: Final = """
### What arrives
The selected files of every matching Sentinel-2 product of the run's UTC sensing days, by default in
the latest version. Each file is verified against ESA's checksum and stored in
`bands/<product type>/<YYYY>/<MM>/<DD>/<product>/` below the output URI, with a STAC item.

### Which days
* **Scheduled**: the day that ended one publication delay ago.
* **Triggered**: the days of the form. If empty: the UTC day before the logical date, or yesterday
  if there is none.
* **Backfill**: each day of its range once. Leave the days of the form empty.
* **Missed** while this DAG was paused or the scheduler was down: `sentinel2_reconcile` fetches
  them, if it is not paused.

A day that has not ended is rejected. A day is announced to downstream DAGs only if it is complete
for the settings of the ingest file; otherwise the summary gives the reason.

### If the run fails
The last line of the first red task's log is the reason. `publish` and `all_delivered` list the
missing products. Clear the failed `download` tasks: verified files are not downloaded again.

### In the documentation
`docs/reference/params.md`, `docs/how-to/backfill.md`, `docs/how-to/red-run.md`,
`docs/how-to/downstream.md`
"""
