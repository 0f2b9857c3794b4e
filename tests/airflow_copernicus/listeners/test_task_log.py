"""The log of a failed task ends with the reason, in a run of Airflow's own task runner."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import dag_test

ROOT = Path(__file__).parents[3]
REASONS = [
    ({"bands": ["SCL_30m"]}, "BandError: Bands and files (bands): 'SCL_30m': SCL exists at 20m"),
    ({}, "'copernicus_default': Maximum concurrent transfers (max_connections) 'many'"),
]


@pytest.fixture
def logs(emulator, connect, tmp_path):
    """Return the lines of each search's log that say something, a run for each configuration."""
    connect({**emulator.connection(), "extra": {"max_connections": "many"}})
    path = tmp_path / "dags" / "lakes.yaml"
    path.parent.mkdir()
    output = (tmp_path / "output").as_uri()
    path.write_text(json.dumps({"tiles": ["T36TXL"], "output_uri": output}))
    confs = json.dumps([conf for conf, _ in REASONS])
    paths = (ROOT, ROOT / "include", ROOT / "plugins")
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    command = [sys.executable, "-m", dag_test.__name__, str(path), confs]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return [search_log(run) for run in done.stdout.split(dag_test.END)[:-1]]


def search_log(run):
    log = run.partition("starting task_id=search")[2].partition("end task task_id=search")[0]
    others = ("::endgroup::", "[DAG TEST]", "[airflow.api_fastapi")  # in the UI not of the task
    said = [line for line in log.splitlines() if line.startswith("20")]
    return [line for line in said if not any(other in line for other in others)]


def test_the_last_line_is_the_reason(logs):
    for lines, (_, reason) in zip(logs, REASONS, strict=True):
        failed = [number for number, line in enumerate(lines) if "Task failed with exc" in line]
        assert 0 < failed[0] < len(lines) - 1
        assert reason in lines[-1]
