"""A backfill by `sentinel2_daily` compared with one of the same shape whose tasks do nothing.

Both run on the same two Celery workers without network latency: the difference is the cost of our
tasks.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from benchmarks.support.service import PASSWORD, ROOT, USER, Service, serving
from benchmarks.support.table import row

sys.path.insert(0, str(ROOT / "scripts"))  # not on the path by default
from dev_airflow.cluster import cluster

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from dev_airflow.airflow_stack import Stack

DAYS: Final = 6
"""The first is a warm-up and is not measured."""
A_DAY: Final = 8
FIRST: Final = date(2024, 6, 1)
DAG: Final = "sentinel2_daily"
IDLE_DAG: Final = "idle"
_TASKS: Final = (DAYS - 1) * (3 + 2 * A_DAY)
_MEASURED: Final = range(1, DAYS)
_RUNS_AT_ONCE: Final = 3
_TIMEOUT_S: Final = 1800.0
_IDLE: Final = f'''
from datetime import UTC, datetime
from airflow.sdk import DAG, CronDataIntervalTimetable, task, task_group

with DAG(
    "{IDLE_DAG}",
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2015, 6, 27, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,
):
    @task
    def search():
        return [{{"batch": f"{{number:04}}", "label": str(number)}} for number in range({A_DAY})]

    @task(pool="copernicus", pool_slots=2, map_index_template="{{{{ task.op_kwargs['batch'] }}}}")
    def download(batch):
        pass

    @task(trigger_rule="all_done", map_index_template="{{{{ task.op_kwargs['batch'] }}}}")
    def extract(batch):
        pass

    @task_group
    def product(batch):
        download(batch=batch) >> extract(batch=batch)

    @task(trigger_rule="all_done")
    def publish():
        return {{}}

    @task
    def all_delivered(published):
        pass

    published = publish()
    found = search()
    product.expand(batch=found) >> published
    all_delivered(published)
'''


def service() -> AbstractContextManager[Service]:
    """Run an emulator with some products of some days."""
    recipes = [
        {
            "tile": "36TXL",
            "sensed": f"{FIRST + timedelta(days=day)}T08:{number:02}:01.024Z",
            "cloud_cover": 5.0,
            "scale": 0.0001,
        }
        for day in range(DAYS)
        for number in range(A_DAY)
    ]
    return serving(recipes)


def measure_overhead(service: Service, scratch: Path) -> None:
    """Compare the two backfills, after a warm-up day of each."""
    dags = scratch / "dags"
    shutil.copytree(ROOT / "dags", dags)
    (dags / "idle.py").write_text(_IDLE)
    connection = {"conn_type": "copernicus", "login": USER, "password": PASSWORD, "port": 443}
    output = scratch / "output"
    env = {
        "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(connection | {"extra": service.addresses}),
        "SENTINEL2_OUTPUT_URI": output.as_uri(),
        "COPERNICUS_STATE_DIR": str(scratch / "state"),
    }
    with cluster(scratch / "home", env, dags_folder=dags) as airflow:
        for dag in (IDLE_DAG, DAG):
            _backfilled(airflow, dag, range(1))
        idle_s = _backfilled(airflow, IDLE_DAG, _MEASURED)
        ours_s = _backfilled(airflow, DAG, _MEASURED)
        spent = {dag: _busy(airflow, dag) for dag in (IDLE_DAG, DAG)}
    number = len(list(output.glob("bands/*/*/*/*/*/item.json")))
    if number != DAYS * A_DAY:
        raise AssertionError(f"{number} of {DAYS * A_DAY} products were delivered")
    both = f"{ours_s / idle_s:.2f}: {ours_s:.1f} s / {idle_s:.1f} s"
    row(f"backfill of {_TASKS} tasks: {DAG} / idle ones", both, "<= 1.3")
    for task_id, seconds in spent[DAG].items():
        row(f"  one {task_id}, ours / idle", f"{seconds:.2f} s / {spent[IDLE_DAG][task_id]:.2f} s")


def _backfilled(airflow: Stack, dag_id: str, days: range) -> float:
    """Return the seconds from the start of a backfill's first run to the end of its last one."""
    airflow.unpause(dag_id)
    body = {
        "dag_id": dag_id,
        "from_date": f"{FIRST + timedelta(days=days[0])}T00:00:00Z",
        "to_date": f"{FIRST + timedelta(days=days[-1])}T00:00:00Z",
        "max_active_runs": _RUNS_AT_ONCE,
        "dag_run_conf": {},
    }
    _when_no_other_runs(airflow, dag_id)
    airflow.create("backfills", body)
    runs = [_run_id(day) for day in days]
    for run in runs:
        if airflow.wait_for_run(dag_id, run, _TIMEOUT_S) != "success":
            raise AssertionError(f"run {run} of {dag_id} failed")
    facts = [airflow.api("GET", f"dags/{dag_id}/dagRuns/{run}") for run in runs]
    began = min(datetime.fromisoformat(one["start_date"]) for one in facts)
    ended = max(datetime.fromisoformat(one["end_date"]) for one in facts)
    return (ended - began).total_seconds()


def _when_no_other_runs(airflow: Stack, dag_id: str) -> None:
    """Wait until an earlier backfill has ended, half a minute after its runs."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        known = airflow.api("GET", f"backfills?dag_id={dag_id}")["backfills"]
        if all(one["completed_at"] for one in known):
            return
        time.sleep(1)
    raise AssertionError(f"a backfill of {dag_id} does not end")


def _busy(airflow: Stack, dag_id: str) -> dict[str, float]:
    """Return the mean duration of each task, in seconds."""
    durations: dict[str, list[float]] = {}
    for day in _MEASURED:
        path = f"dags/{dag_id}/dagRuns/{_run_id(day)}/taskInstances"
        tasks: list[dict[str, Any]] = airflow.api("GET", path)["task_instances"]
        for one in tasks:
            durations.setdefault(one["task_id"], []).append(one["duration"])
    return {task_id: sum(each) / len(each) for task_id, each in durations.items()}


def _run_id(day: int) -> str:
    return f"backfill__{FIRST + timedelta(days=day)}T23:59:59+00:00"
