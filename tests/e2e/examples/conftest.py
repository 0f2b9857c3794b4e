"""An Airflow whose DAGs are the examples of the documentation, and what they report to."""

import json
import shutil
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from copernicus_dataspace_emulator import Emulator
from dev_airflow.airflow_stack import Stack
from tests.e2e.conftest import Rehearsal
from tests.support import webhook_server

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "T000/B000/hush-hush"
LATE = "seconds=30"


class Collector(threading.Thread):
    """A StatsD that keeps what is ours."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.lines = []

    def run(self):
        while True:
            lines = self.sock.recv(65536).decode().splitlines()
            self.lines += [line for line in lines if ".copernicus." in line]

    def of(self, dag_id):
        return [line for line in self.lines if f"dag_id={dag_id}," in line.replace(":", ",")]

    def total(self, metric, dag_id):
        found = [
            line for line in self.of(dag_id) if line.startswith(f"airflow.copernicus.{metric},")
        ]
        return sum(float(line.rpartition(":")[2].partition("|")[0]) for line in found)


@pytest.fixture(scope="package")
def statsd():
    collector = Collector()
    collector.start()
    return collector


@pytest.fixture(scope="package")
def hook():
    with webhook_server.listening() as hook:
        yield hook


@pytest.fixture(scope="package")
def events(tmp_path_factory):
    return tmp_path_factory.mktemp("lineage") / "events.jsonl"


@pytest.fixture(scope="package")
def storage():
    """A local S3 with the bucket of the example."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys)
    s3.create_bucket(Bucket="my-bucket")
    yield s3
    server.stop()


@pytest.fixture(scope="package")
def rehearsal(tmp_path_factory, statsd, hook, events, storage):
    """The examples are all there is in the DAGs folder; a day is late after half a minute."""
    home = tmp_path_factory.mktemp("examples")
    dags = shutil.copytree(EXAMPLES, home / "dags")
    alerts = (dags / "alerts.py").read_text()
    (dags / "alerts.py").write_text(alerts.replace("hours=12", LATE))
    endpoint = {"endpoint_url": storage.meta.endpoint_url, "region_name": "us-east-1"}
    store = {"conn_type": "aws", "login": "test", "password": "test", "extra": endpoint}
    lineage = {"type": "file", "log_file_path": str(events), "append": True}
    with Emulator(now=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")) as emulator:
        env = {
            "AIRFLOW_CONN_COPERNICUS_DEFAULT": json.dumps(emulator.connection()),
            "AIRFLOW_CONN_SENTINEL2_STORE": json.dumps(store),
            "AIRFLOW__COPERNICUS__OUTPUT_URI": (home / "output").as_uri(),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(statsd.sock.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__METRICS__STATSD_DISABLED_TAGS": "job_id,run_id,kwargs",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(lineage),
            "AIRFLOW__OPENLINEAGE__INCLUDE_FULL_TASK_INFO": "True",
        }
        with Stack(home / "home", dags_folder=dags, env=env) as airflow:
            webhook = {"conn_type": "http", "host": hook.address, "password": SECRET}
            airflow.create("connections", {"connection_id": "copernicus_alerts", **webhook})
            yield Rehearsal(airflow, emulator, home / "output")
