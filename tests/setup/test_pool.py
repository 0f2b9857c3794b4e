"""A fresh Airflow has the pool, as large as the account allows, before any task asks for it."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from dev_airflow.airflow_stack import Stack

DAG = """
from airflow.sdk import DAG, task
with DAG("probe", schedule=None):
    @task(pool="copernicus", pool_slots=3)
    def probe():
        pass
    probe()
"""


CONNECTION = "connections/copernicus_default"


def connection(most):
    extra = json.dumps({"max_connections": most})
    return {"conn_type": "copernicus", "login": "x", "password": "y", "extra": extra}


def wait_for_slots(airflow, slots):
    def shown():
        return airflow.api("GET", "pools/copernicus")["slots"]

    airflow.wait(lambda: shown() == slots, 60, lambda: f"the pool has {shown()} slots.")


def test_the_pool_follows_the_connection_at_each_start_of_the_scheduler(tmp_path):
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "probe.py").write_text(DAG)
    with Stack(tmp_path / "home", dags_folder=dags) as airflow:
        assert airflow.api("GET", "pools/copernicus")["slots"] == 4  # of a standard account
        airflow.unpause("probe")
        run_id = airflow.api("POST", "dags/probe/dagRuns", {"logical_date": None})["dag_run_id"]
        assert airflow.wait_for_run("probe", run_id, 60) == "success"
        stored = {"connection_id": "copernicus_default", **connection(3)}
        airflow.create("connections", stored)
        airflow.restart("scheduler")
        wait_for_slots(airflow, 3)
        airflow.api("PATCH", CONNECTION, {**stored, **connection(1)})
        airflow.restart("scheduler")
        wait_for_slots(airflow, 1)
        log = (airflow.logs / "scheduler.log").read_text()
        assert "sentinel2_daily: connections is 2, but the pool copernicus has 1 slots" in log
