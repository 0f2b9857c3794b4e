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


def connection(most):
    extra = {"max_connections": most}
    return {"conn_type": "copernicus", "login": "x", "password": "y", "extra": json.dumps(extra)}


def test_the_pool_follows_the_connection_at_each_start(tmp_path):
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "probe.py").write_text(DAG)
    home = tmp_path / "home"
    env = {"AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(connection(3))}
    with Stack(home, dags_folder=dags, env=env) as airflow:
        assert airflow.api("GET", "pools/copernicus")["slots"] == 3
        airflow.unpause("probe")
        run_id = airflow.api("POST", "dags/probe/dagRuns", {"logical_date": None})["dag_run_id"]
        assert airflow.wait_for_run("probe", run_id, 60) == "success"
        airflow.create("connections", {"connection_id": "copernicus_default", **connection(1)})
    with Stack(home, dags_folder=dags) as airflow:
        assert airflow.api("GET", "pools/copernicus")["slots"] == 1
        log = (airflow.logs / "scheduler.log").read_text()
        assert "sentinel2_daily: connections is 2, but the pool copernicus has 1 slots" in log
