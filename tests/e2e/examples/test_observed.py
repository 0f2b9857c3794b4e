"""A day that fails, as a monitoring team sees it: metrics, lineage, and two alerts."""

import json
import re
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from copernicus_dataspace_emulator import Fault
from tests.e2e.examples.conftest import SECRET

DAG = "lake_with_alerts"
DAY = date(2024, 10, 5)
TOKEN = re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}")


@pytest.fixture(scope="module")
def names(rehearsal):
    """The product that arrives, and the one that cannot."""
    good, bad = rehearsal.add(DAY), rehearsal.add(DAY, hour=9)
    faults = rehearsal.emulator.faults
    faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    faults.add(Fault(service="download", status=429, times=1, retry_after=0, match=good.id))
    return [product.name.removesuffix(".SAFE") for product in (good, bad)]


@pytest.fixture(scope="module")
def run(rehearsal, names):
    rehearsal.airflow.unpause(DAG)
    run = rehearsal.trigger(DAG, first_day=str(DAY))
    assert rehearsal.finished(run, DAG) == "failed"
    rehearsal.emulator.faults.clear()
    return run


def arrived(find, timeout_s=90.0):
    """Return what is found at last: Airflow tells others after a task has ended."""
    until = time.monotonic() + timeout_s
    while not (found := find()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def alert(hook, run, words):
    """Wait for the one message about a run that holds the words."""

    def find():
        ours = [post for post in hook.posts if post[1]["run_id"] == run]
        return [post for post in ours if words in post[1]["text"]]

    ((path, message),) = arrived(find)
    assert path == f"/hook/{SECRET}"
    return message


def test_the_failed_day_is_told(rehearsal, hook, run, names):
    message = alert(hook, run, "failed for")
    first, product, summary, link = message["text"].splitlines()
    assert first == f"{DAG} failed for {DAY}. 1 of 2 products delivered, 1 missing."
    assert product.startswith(f"- {names[1]}: AccessDeniedError: ")
    assert "HTTP 403" in product
    path = Path(summary.removeprefix("Summary: file://"))
    assert json.loads(path.read_text())["run_id"] == run
    assert link.startswith(f"Run: {rehearsal.airflow.url}/dags/{DAG}/runs/manual__")
    assert message["days"] == [str(DAY)]


def test_the_late_day_is_told(hook, run, names):
    message = alert(hook, run, "is late for")
    year = datetime.now(UTC).year
    assert message["text"].startswith(f"{DAG} is late for {DAY}: not complete by {year}-")
    assert names[1] in message["text"] or "The search has no result" in message["note"]
    assert f"/dags/{DAG}/runs/manual__" in message["url"]


def test_the_metrics_reach_statsd(statsd, run):
    assert arrived(lambda: statsd.total("days_incomplete", DAG)) == 1
    assert statsd.total("products_found", DAG) == 2
    assert statsd.total("products_delivered", DAG) == 1
    assert statsd.total("products_failed", DAG) == 1
    assert statsd.total("rate_limited", DAG) == 1
    assert statsd.total("retries", DAG) == 1
    assert statsd.total("bytes_transferred", DAG) > 0
    downloads = [line for line in statsd.of(DAG) if "task_id=product.download" in line]
    assert {line.partition(",")[0] for line in downloads} == {
        f"airflow.copernicus.{name}"
        for name in (
            *("requests", "bytes_transferred", "retries", "rate_limited"),
            *("moving", "waiting"),
        )
    }


def told(events, task, kind):
    """Return the inputs and outputs of a task's last event of a kind with any, by name."""

    def find():
        found = [
            json.loads(line)
            for line in events.read_text().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        ours = [one for one in found if one["job"]["name"] == f"{DAG}.{task}"]
        return [one for one in ours if one["eventType"] == kind and one["inputs"]]

    named = arrived(find)
    assert named, f"no {kind} of {task}: {events.read_text()}"
    inputs, outputs = named[-1]["inputs"], named[-1]["outputs"]
    return [tuple((one["namespace"], one["name"]) for one in each) for each in (inputs, outputs)]


def test_openlineage_is_told_what_was_read_and_written(rehearsal, events, run, names):
    extra = rehearsal.emulator.connection()["extra"]
    service = extra["download_url"].rpartition("/odata")[0]
    folder = f"{rehearsal.output}/bands/S2MSI2A/{DAY:%Y/%m/%d}/{names[0]}"
    inputs, outputs = told(events, "search", "COMPLETE")
    assert (set(inputs), outputs) == ({(service, name) for name in names}, ())
    assert told(events, "product.download", "COMPLETE") == [((service, names[0]),), ()]
    written = [((service, names[0]),), (("file", folder),)]
    assert told(events, "product.extract", "COMPLETE") == written
    inputs, ((namespace, summary),) = told(events, "publish", "FAIL")
    assert inputs == (("file", folder),)
    assert (namespace, Path(summary).is_file()) == ("file", True)


def test_no_event_no_log_and_no_alert_holds_a_secret(rehearsal, events, hook, run):
    extra = rehearsal.emulator.connection()
    secrets = [extra["password"], SECRET]
    texts = {str(events): events.read_text(), "alerts": json.dumps([m for _, m in hook.posts])}
    logs = [path for path in rehearsal.airflow.home.rglob("*.log") if path.is_file()]
    assert len(logs) > 10
    texts |= {str(path): path.read_text(errors="replace") for path in logs}
    for name, text in texts.items():
        assert not [secret for secret in secrets if secret in text], name
        if "components" not in name:
            assert not TOKEN.search(text), name
