"""One real Airflow for all end-to-end tests, against an emulator that runs in this process."""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from copernicus_dataspace_emulator import Emulator, make_product

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from dev_airflow.airflow_stack import Stack
from tests.support.airflow.bucket import Bucket

DAG = "sentinel2_daily"
DUE_DAY = datetime.now(UTC).date() - timedelta(days=2)
"""The newest day whose publication delay is over."""


@dataclass
class Rehearsal:
    """Airflow, the Data Space it talks to, and where files arrive."""

    airflow: Stack
    emulator: Emulator
    output: Path
    products: list[Any] = field(default_factory=list)

    def add(self, day, *, hour=8, **changes):
        """Let a product over the lake be sensed on a day."""
        sensed = f"{day}T{hour:02}:36:01.024Z"
        facts = {"tile": "36TXL", "level": "L2A", "cloud_cover": 5.0, "scale": 0.01, "seed": hour}
        product = self.emulator.add(make_product(sensed=sensed, **{**facts, **changes}))
        self.products.append(product)
        return product

    def trigger(self, dag=DAG, **conf):
        """Trigger a run as the UI's form does; return its id."""
        now = datetime.now(UTC).isoformat()
        body = {"dag_run_id": f"manual__{now}", "logical_date": now, "conf": conf}
        self.airflow.create(f"dags/{dag}/dagRuns", body)
        return body["dag_run_id"]

    def runs(self, dag=DAG, **query: Any):
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return self.airflow.api("GET", f"dags/{dag}/dagRuns?{asked}")["dag_runs"]

    def states(self, run_id, dag=DAG):
        """Return the state of every task instance, by task id and map index."""
        tasks = self.airflow.api("GET", f"dags/{dag}/dagRuns/{run_id}/taskInstances")
        return {
            f"{one['task_id']}[{one['map_index']}]": one["state"] for one in tasks["task_instances"]
        }

    def finished(self, run_id, dag=DAG, timeout_s=240.0):
        return self.airflow.wait_for_run(dag, run_id, timeout_s)

    def delivered(self, day):
        """Return the files delivered for a day, items left out, by name."""
        folder = self.output / f"bands/S2MSI2A/{day:%Y/%m/%d}"
        return {path.name: path for path in folder.glob("*/*.jp2")}

    def downloads(self):
        return [one for one in self.emulator.requests if one.service == "download"]


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    output = home / "output"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with Emulator(now=now) as emulator:
        env = {
            "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(emulator.connection()),
            "SENTINEL2_OUTPUT_URI": output.as_uri(),
        }
        with Stack(home / "home", env=env) as airflow:
            yield Rehearsal(airflow, emulator, output)


@pytest.fixture
def bucket():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield Bucket(f"http://{host}:{port}")
    server.stop()
