"""Two Celery workers, PostgreSQL and Redis: what docker-compose.yaml describes, for real."""

import json

import pytest

from dev_airflow import services
from tests.support.airflow.scene import host_of_its_own, scene

pytestmark = pytest.mark.skipif(
    bool(services.missing()), reason=f"not installed: {', '.join(services.missing())}"
)


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
