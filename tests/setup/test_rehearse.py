"""`make rehearse`: everything a newcomer plays with is there, and works."""

import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

PROJECT = Path(__file__).resolve().parents[2]
HOME = PROJECT / ".rehearsal"
PRODUCTS = 3

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def rehearsal():
    """Start it with a fault; return a function that asks its REST API."""
    command = [sys.executable, str(PROJECT / "scripts/rehearse.py"), "--port=0", "--fault=429"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as process:
        shown = ""
        while "Press Ctrl-C" not in shown:
            shown += process.stdout.readline()
        url, password = re.search(r"UI: (\S+)  user admin, password (\S+)", shown).groups()
        who = {"username": "admin", "password": password}
        token = requests.post(f"{url}/auth/token", json=who, timeout=30).json()["access_token"]

        def ask(path, body=None):
            method = "GET" if body is None else "POST"
            headers = {"Authorization": f"Bearer {token}"}
            answer = requests.request(
                method, f"{url}/api/v2/{path}", json=body, headers=headers, timeout=30
            )
            answer.raise_for_status()
            return answer.json()

        yield ask
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def ended(ask, dag_id, run_type):
    """Wait for the first run of a type; return its state."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        runs = ask(f"dags/{dag_id}/dagRuns?run_type={run_type}")["dag_runs"]
        if runs and runs[0]["state"] in ("success", "failed"):
            return runs[0]["state"]
        time.sleep(1)
    raise TimeoutError(dag_id)


def days(number):
    """Return the days from so many days ago until yesterday."""
    today = datetime.now(UTC).date()
    return [today - timedelta(days=ago) for ago in range(number, 0, -1)]


def delivered(day):
    return [*HOME.glob(f"data/bands/S2MSI2A/{day:%Y/%m/%d}/*/*_SCL_20m.jp2")]


def test_the_schedule_has_run_and_the_connection_is_there(rehearsal):
    assert ended(rehearsal, "sentinel2_daily", "scheduled") == "success"
    assert len(delivered(days(2)[0])) == PRODUCTS
    assert rehearsal("connections/copernicus_default")["conn_type"] == "copernicus"


def test_the_last_days_can_be_backfilled(rehearsal):
    first, last = days(10)[0], days(3)[0]
    backfill = {
        "dag_id": "sentinel2_daily",
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{last}T00:00:00Z",
        "max_active_runs": 2,
        "dag_run_conf": {},
    }
    rehearsal("backfills", backfill)
    deadline = time.monotonic() + 400
    while any(len(delivered(day)) < PRODUCTS for day in days(10)[:8]):
        assert time.monotonic() < deadline
        time.sleep(2)


def test_what_is_deleted_is_repaired(rehearsal):
    assert ended(rehearsal, "sentinel2_reconcile", "scheduled") == "success"
    day = days(2)[0]
    for path in delivered(day):
        path.unlink()
    rehearsal(
        "dags/sentinel2_reconcile/dagRuns",
        {"logical_date": None, "conf": {"first_day": f"{day}"}},
    )
    assert ended(rehearsal, "sentinel2_reconcile", "manual") == "success"
    assert len(delivered(day)) == PRODUCTS
