"""Today's products pass before those of a backfill that keeps the pool busy."""

from datetime import date

import pytest

from copernicus_dataspace_emulator import Fault
from tests.e2e.conftest import DAG

PAST = [date(2023, 6, day) for day in (1, 2, 3)]
TODAY = date(2024, 5, 5)
EACH = 3  # products of a day, each with a download of its own
AT_ONCE = 2  # downloads, of two slots each


def downloads(rehearsal, run):
    path = f"dags/{DAG}/dagRuns/{run}/taskInstances/product.download/listMapped"
    return rehearsal.airflow.api("GET", path)["task_instances"]


@pytest.fixture
def backfill(rehearsal):
    """The runs of a backfill whose downloads wait for slots of the pool."""
    for day in (*PAST, TODAY):
        for hour in range(EACH):
            rehearsal.add(day, hour=8 + hour)
    slow = Fault(service="download", kind="stall", seconds=1.0, times=None)
    rehearsal.emulator.faults.add(slow)
    rehearsal.airflow.unpause(DAG)
    body = {
        "dag_id": DAG,
        "from_date": f"{PAST[0]}T00:00:00Z",
        "to_date": f"{PAST[-1]}T00:00:00Z",
        "max_active_runs": len(PAST),
        "dag_run_conf": {},
    }
    rehearsal.airflow.create("backfills", body)
    runs = [f"backfill__{day}T23:59:59+00:00" for day in PAST]
    rehearsal.airflow.wait(
        lambda: all(len(downloads(rehearsal, run)) == EACH for run in runs),
        timeout_s=120,
        why=lambda: "the backfill's downloads did not appear",
    )
    yield runs
    rehearsal.emulator.faults.clear()
    for run in runs:
        rehearsal.airflow.api("PATCH", f"dags/{DAG}/dagRuns/{run}", {"state": "failed"})


def test_today_passes_before_a_running_backfill(rehearsal, backfill):
    run = rehearsal.trigger(first_day=str(TODAY))
    assert rehearsal.finished(run) == "success"
    today = downloads(rehearsal, run)
    past = [one for each in backfill for one in downloads(rehearsal, each)]
    known = max(one["scheduled_when"] for one in today)
    started = max(one["start_date"] for one in today)
    ahead = [one for one in past if one["start_date"] and known < one["start_date"] < started]
    behind = [one for one in past if not one["start_date"] or one["start_date"] > started]
    assert len(ahead) <= AT_ONCE, "only what had its slots already"
    assert len(behind) >= EACH, "or the backfill was nearly over and nothing was shown"
    assert {one["priority_weight"] for one in today} == {4}
    assert {one["priority_weight"] for one in past} == {4 - 1000}
