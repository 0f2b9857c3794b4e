"""Backfills of weeks on two Celery workers, undisturbed and disturbed; figures go to a page."""

import json
import re
import time

import pytest

from copernicus_dataspace_emulator import Fault
from dev_airflow import services
from tests.support.airflow.scale_page import SCALE
from tests.support.airflow.scene import host_of_its_own, scene
from tests.support.airflow.watch import Watch

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        bool(services.missing()), reason=f"not installed: {', '.join(services.missing())}"
    ),
]

LATE_S = 1.0
TOKEN_LIFETIME_S = 60
CONNECTIONS = 4
LATENCY_S = 0.08
SERVICE = {
    "late_release_s": LATE_S,
    "token_lifetime_s": TOKEN_LIFETIME_S,
    "latency_s": LATENCY_S,
}
MONTH = {"days": 30, "a_day": 20, **SERVICE}
MOST_REFUSED = 0.02


def test_two_hosts_that_share_object_storage_only(tmp_path, bucket):
    hosts = {name: host_of_its_own(tmp_path / name) for name in ("worker-1", "worker-2")}
    env = {"AIRFLOW_CONN_STORAGE": json.dumps(bucket.connection)}
    with scene(
        tmp_path, days=3, a_day=3, bucket=bucket, env=env, own_env=hosts, late_release_s=0.5
    ) as cluster:
        runs = cluster.backfill()
        assert cluster.all_green(runs, timeout_s=400)
        assert cluster.wrong() == []
        assert cluster.emulator.peak_connections <= 4
        assert cluster.taken().keys() == {"worker-1", "worker-2"}
        assert min(cluster.taken().values()) > 0, cluster.taken()
        assert 1 <= cluster.emulator.grants["password"] <= len(hosts)


def figures(cluster, began):
    """Return what every backfill is measured by."""
    number = len(cluster.right)
    wrong = cluster.wrong()
    return [
        ("products right", f"{number - len(wrong)} of {number}", "all"),
        ("connections at once, most", cluster.emulator.peak_connections, f"<= {CONNECTIONS}"),
        ("answered 429", f"{100 * cluster.refused_share():.2f} %", f"< {100 * MOST_REFUSED:g} %"),
        ("logins with the password", cluster.emulator.grants["password"], "1 a host"),
        ("wall time", f"{time.monotonic() - began:.0f} s", ""),
        ("tasks of each worker", ", ".join(map(str, cluster.taken().values())), ""),
    ]


def assert_good(cluster):
    assert cluster.wrong() == []
    assert cluster.emulator.peak_connections <= CONNECTIONS
    assert cluster.refused_share() < MOST_REFUSED
    assert min(cluster.taken().values()) > 0


def test_a_month_arrives(tmp_path):
    with scene(tmp_path, **MONTH) as cluster:
        began = time.monotonic()
        runs = cluster.backfill()
        cluster.all_green(runs, timeout_s=1500)
        SCALE.record("A month of 600 products, connections freed 1 s late", figures(cluster, began))
        assert_good(cluster)
        assert cluster.emulator.grants["password"] == 1


def test_two_hosts_that_share_nothing_but_object_storage(tmp_path, bucket):
    hosts = {name: host_of_its_own(tmp_path / name) for name in ("worker-1", "worker-2")}
    env = {"AIRFLOW_CONN_STORAGE": json.dumps(bucket.connection)}
    with scene(
        tmp_path,
        days=10,
        a_day=6,
        bucket=bucket,
        env=env,
        own_env=hosts,
        **SERVICE,
    ) as cluster:
        began = time.monotonic()
        runs = cluster.backfill()
        cluster.all_green(runs, timeout_s=1200)
        SCALE.record(
            "Two hosts that share object storage only, 60 products", figures(cluster, began)
        )
        assert_good(cluster)
        assert cluster.emulator.grants["password"] == 2


SOON = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}
"""Lets Airflow notice within half a minute what it would notice within five or ten."""


def test_a_killed_worker_and_a_restarted_scheduler(tmp_path):
    with scene(tmp_path, **MONTH, env=SOON) as cluster, Watch(tmp_path / "output/bands") as watch:
        began = time.monotonic()
        runs = cluster.backfill()
        wait_until(lambda: watch.items() >= 100)
        cluster.emulator.faults.add(Fault(service="download", kind="stall", seconds=4, times=None))
        wait_until(lambda: _is_long_busy(cluster, "worker-1"))
        cluster.airflow.kill("worker-1")
        cluster.emulator.faults.clear()
        killed = time.monotonic()
        wait_until(lambda: watch.items() >= 300)
        cluster.airflow.restart("scheduler")
        cluster.all_green(runs, timeout_s=1500)
        fetched = cluster.fetched()
        again = {name: number for name, number in fetched.items() if number > 1}
        tried_again = _tried_again(cluster, runs)
        rows = [
            ("files fetched more than once", len(again), f"<= {CONNECTIONS}, those under way"),
            ("files replaced under their final names", len(watch.replaced), "0"),
            ("task instances tried again", len(tried_again), ""),
            ("from the kill to the end", f"{time.monotonic() - killed:.0f} s", ""),
        ]
        title = "The month of 600 products, a worker killed and the scheduler restarted"
        SCALE.record(title, [*figures(cluster, began), *rows])
        supervisor = (cluster.airflow.logs / "supervisor.log").read_text()
        assert "worker-1 ended with exit code -9" in supervisor
        assert "scheduler ended" in supervisor
        assert tried_again
        assert_good(cluster)
        assert watch.replaced == []
        assert len(again) <= CONNECTIONS, again


def wait_until(true, timeout_s=600.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def _downloads_of(cluster, worker):
    """Return the downloads that a worker is busy with."""
    log = (cluster.airflow.logs / f"{worker}.log").read_text()
    begun = re.findall(r"\[([0-9a-f-]{36})\] Executing workload.*?task_id='product.download'", log)
    ended = set(re.findall(r"execute_workload\[([0-9a-f-]{36})\] succeeded", log))
    return [one for one in begun if one not in ended]


def _is_long_busy(cluster, worker):
    """Tell whether a worker is within a download that is not about to end."""
    before = set(_downloads_of(cluster, worker))
    time.sleep(1)
    return bool(before & set(_downloads_of(cluster, worker)))


def _tried_again(cluster, runs):
    tasks = (
        one
        for run in runs
        for one in cluster.airflow.api("GET", f"dags/sentinel2_daily/dagRuns/{run}/taskInstances")[
            "task_instances"
        ]
    )
    return [one["task_id"] for one in tasks if one["try_number"] > 1]
