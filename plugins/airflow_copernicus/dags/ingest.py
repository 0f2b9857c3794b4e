"""Factory of ingest DAGs: search, then download and extract per batch, then publish."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from airflow.sdk import DAG, task, task_group
from airflow.sdk.exceptions import AirflowException

from airflow_copernicus.assets import day_asset
from airflow_copernicus.config.environment import area_folders, ingests_folder
from airflow_copernicus.config.ingest_files import check_dag_id, file_of, files_in, shown_name
from airflow_copernicus.config.ingest_settings import INGEST_TAG, SCHEMAS, Ingest, as_json
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

TAGS: Final = ["sentinel-2", INGEST_TAG]

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

_DAG_ARGUMENTS: Final = frozenset(inspect.signature(DAG).parameters)
_SEARCH_TIMEOUT: Final = timedelta(hours=1)
_DOWNLOAD_TIMEOUT: Final = timedelta(hours=6)


def ingest_dag(dag_id: str, **settings: Any) -> DAG:
    """Return the DAG of an ingest.

    Args:
        dag_id: Id of the DAG, and name of the ingest.
        **settings: The settings of an ingest file, such as ``area``, ``bands`` and
            ``max_cloud_cover`` (docs/reference/ingest-file.md), and arguments of the DAG, such as
            ``on_failure_callback``. Area files lie beside the calling file, in a folder `areas`
            there, or in `areas_folder`. Days may also be a `date`, delays a `timedelta`.

    Raises:
        ConfigurationError: Settings are invalid; the message names every problem.
    """
    frame = inspect.currentframe()
    assert frame is not None  # noqa: S101
    assert frame.f_back is not None  # noqa: S101
    folder = Path(frame.f_back.f_code.co_filename).parent
    dag_arguments = {
        name: value
        for name, value in settings.items()
        if name in _DAG_ARGUMENTS and name not in SCHEMAS
    }
    given = {name: as_json(value) for name, value in settings.items() if name not in dag_arguments}
    check_dag_id(dag_id)
    return build_dag(Ingest.of(dag_id, given, area_folders(folder)), folder, **dag_arguments)


def ingest_dags(folder: str | Path | None = None, **dag_arguments: Any) -> dict[str, DAG]:
    """Return the DAGs of the ingest files of a folder by DAG id, see `dag_of`.

    Args:
        folder: The folder; None for the option `ingests_folder` of the installation. Area files lie
            beside the ingest files, in a folder `areas` there, or in `areas_folder`.
        **dag_arguments: Passed to each DAG, such as ``on_failure_callback`` and ``deadline``.

    Raises:
        ConfigurationError: The folder cannot be read.
    """
    files = files_in(Path(folder) if folder else ingests_folder())
    dags = (dag_of(file.path, **dag_arguments) for file in files)
    return {dag.dag_id: dag for dag in dags}


def dag_of(path: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG of an ingest file; the DAG of an invalid file fails daily with the reason.

    Args:
        path: The file, whose name is the DAG id.
        **dag_arguments: Passed to the DAG.
    """
    try:
        return build_dag(Ingest.read(path), path.parent, **dag_arguments)
    except (DataSpaceError, AirflowException, ValueError) as error:
        return _broken_dag(path, str(error), dag_arguments)


def build_dag(ingest: Ingest, areas_folder: Path, **dag_arguments: Any) -> DAG:
    """Return the DAG of an ingest.

    Args:
        ingest: Its settings.
        areas_folder: Folder in which area files are looked up first.
        **dag_arguments: Passed to the DAG.
    """
    arguments: dict[str, Any] = {
        "description": ingest.description,
        "doc_md": _DOC,
        "start_date": ingest.start_day,
        "catchup": ingest.catchup,
        "max_active_runs": 1 if ingest.one_run_at_a_time else _ACTIVE_RUNS,
        "params": dag_params(ingest.defaults, area_folders(areas_folder)),
        **dag_arguments,
        "tags": [*TAGS, *dag_arguments.get("tags", ())],
        "default_args": {**DEFAULT_ARGS, **dag_arguments.get("default_args", {})},
    }
    with DAG(ingest.dag_id, schedule=ingest.timetable, **arguments) as dag:
        params: dict[str, Any] = {name: dag.param(name) for name in ingest.defaults}
        stores: dict[str, Any] = {"allowed_outputs": [ingest.defaults["output_uri"]]}
        wanted = {**{name: params[name] for name in WANTED_FIELDS}, **stores}
        search = CopernicusSearchOperator(
            task_id=SEARCH,
            bands=params["bands"],
            output_uri=params["output_uri"],
            copernicus_conn_id=ingest.copernicus_conn_id,
            connections=ingest.connections,
            one_run_at_a_time=ingest.one_run_at_a_time,
            areas_folder=areas_folder,
            ingest=ingest,
            execution_timeout=_SEARCH_TIMEOUT,
            **stores,
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
            **stores,
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
        **{**dag_arguments, "tags": [*TAGS, "broken"]},
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
for the settings of the ingest; otherwise the summary gives the reason.

### If the run fails
The last line of the first red task's log is the reason. `publish` and `all_delivered` list the
missing products. Clear the failed `download` tasks: verified files are not downloaded again.

### In the documentation
`docs/reference/params.md`, `docs/how-to/backfill.md`, `docs/how-to/red-run.md`,
`docs/how-to/downstream.md`
"""
