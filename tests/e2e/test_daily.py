"""The shipped DAG under a real scheduler."""

import json
import re
from datetime import date, timedelta

import pytest

from copernicus_dataspace_emulator import Fault
from tests.e2e.conftest import DUE_DAY
from tests.support.airflow.watch import link_of

SUMMER = date(2024, 8, 1)


@pytest.fixture(scope="module", autouse=True)
def running(rehearsal):
    """Both DAGs are on, and the first scheduled day has its products before that."""
    rehearsal.add(DUE_DAY)
    rehearsal.add(DUE_DAY, hour=9)
    rehearsal.airflow.unpause("example_clear_sky")
    rehearsal.airflow.unpause("sentinel2_daily")


def poll(rehearsal, found, timeout_s=120.0):
    results = []

    def done():
        results[:] = found()
        return bool(results)

    rehearsal.airflow.wait(done, timeout_s, lambda: "nothing was found")
    return results


def test_a_scheduled_day_arrives_by_itself(rehearsal):
    (run,) = poll(rehearsal, lambda: rehearsal.runs(run_type="scheduled"))
    assert run["data_interval_start"].startswith(str(DUE_DAY))
    assert rehearsal.finished(run["dag_run_id"]) == "success"
    files = rehearsal.delivered(DUE_DAY)
    assert len(files) == 2
    for product in rehearsal.products:
        (scl,) = (path for path in product.files if path.endswith("_SCL_20m.jp2"))
        (standing,) = (p for p in files.values() if p.parent.name == product.name[: -len(".SAFE")])
        assert standing.read_bytes() == product.read(scl)


def test_the_downstream_dag_ran_for_the_day(rehearsal):
    day = str(DUE_DAY)

    def found():
        runs = rehearsal.runs("example_clear_sky")
        return [run for run in runs if run["partition_key"] == day]

    (run,) = poll(rehearsal, found)
    assert rehearsal.finished(run["dag_run_id"], "example_clear_sky") == "success"


def test_rows_of_mapped_tasks_have_readable_names_and_links(rehearsal):
    (run,) = rehearsal.runs(run_type="scheduled")
    path = f"dags/sentinel2_daily/dagRuns/{run['dag_run_id']}/taskInstances"
    tasks = rehearsal.airflow.api("GET", f"{path}/product.download/listMapped")["task_instances"]
    labels = {task["rendered_map_index"] for task in tasks}
    assert labels == {f"T36TXL {DUE_DAY} {hour}:36 S2A L2A N05.11" for hour in ("08", "09")}
    link = link_of(rehearsal.airflow, f"{path}/product.download?map_index=0", "Copernicus Browser")
    assert link.startswith("https://browser.dataspace.copernicus.eu/?zoom=")


def test_a_run_by_hand_with_dates(rehearsal):
    for offset in range(4):
        rehearsal.add(SUMMER + timedelta(days=offset))
    run = rehearsal.trigger(first_day=str(SUMMER), last_day=str(SUMMER + timedelta(days=1)))
    assert rehearsal.finished(run) == "success"
    assert [len(rehearsal.delivered(SUMMER + timedelta(days=n))) for n in range(4)] == [1, 1, 0, 0]


def test_a_rerun_costs_one_search(rehearsal):
    before = len(rehearsal.emulator.requests)
    run = rehearsal.trigger(first_day=str(SUMMER), last_day=str(SUMMER + timedelta(days=1)))
    assert rehearsal.finished(run) == "success"
    new = rehearsal.emulator.requests[before:]
    assert [one.service for one in new if one.service != "identity"] == ["catalogue"]


def test_a_backfill_gives_each_day_once(rehearsal):
    first = date(2024, 9, 10)
    for offset in range(-1, 4):
        rehearsal.add(first + timedelta(days=offset))
    body = {
        "dag_id": "sentinel2_daily",
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{first + timedelta(days=2)}T00:00:00Z",
        "max_active_runs": 2,
        "dag_run_conf": {},
    }
    rehearsal.airflow.create("backfills", body)
    runs = poll(rehearsal, lambda: rehearsal.runs(run_type="backfill"))
    assert len(runs) == 3
    assert all(rehearsal.finished(run["dag_run_id"]) == "success" for run in runs)
    days = [first + timedelta(days=offset) for offset in range(-1, 4)]
    assert [len(rehearsal.delivered(day)) for day in days] == [0, 1, 1, 1, 0]


def test_an_empty_day_is_green(rehearsal):
    run = rehearsal.trigger(first_day="2024-12-24")
    assert rehearsal.finished(run) == "success"
    states = rehearsal.states(run)
    assert states["publish[-1]"] == "success"
    assert "failed" not in states.values()


def test_one_broken_product_leaves_the_others_and_turns_the_run_red(rehearsal):
    day = date(2024, 10, 5)
    good, bad = rehearsal.add(day), rehearsal.add(day, hour=9)
    fault = Fault(service="download", status=403, times=None, match=bad.id)
    rehearsal.emulator.faults.add(fault)
    run = rehearsal.trigger(first_day=str(day))
    assert rehearsal.finished(run) == "failed"
    (path,) = rehearsal.delivered(day).values()
    assert path.parent.name == good.name.removesuffix(".SAFE")
    states = sorted(rehearsal.states(run).values())
    assert states.count("failed") >= 2
    found = rehearsal.output.glob("runs/sentinel2_daily/*/summary.json")
    summaries = [json.loads(path.read_text()) for path in found]
    (summary,) = (summary for summary in summaries if summary["run_id"] == run)
    assert summary["missing"] == [bad.name.removesuffix(".SAFE")]


def test_all_tasks_of_all_runs_shared_one_login(rehearsal):
    assert rehearsal.emulator.grants["password"] == 1


def test_no_log_holds_a_secret(rehearsal):
    secret = rehearsal.emulator.connection()["password"]
    logs = [path for path in rehearsal.airflow.home.rglob("*.log") if path.is_file()]
    assert len(logs) > 20
    token = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}")
    for path in logs:
        text = path.read_text(errors="replace")
        assert secret not in text, path
        if "components" not in path.parts:
            assert not token.search(text), path
    records = list(rehearsal.output.rglob("*.json"))
    assert records
    assert not [path for path in records if token.search(path.read_text())]
