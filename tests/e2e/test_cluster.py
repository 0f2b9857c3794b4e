"""Two Celery workers, PostgreSQL and Redis: what docker-compose.yaml describes, for real."""

import pytest

import services
from tests.e2e.scene import scene

pytestmark = pytest.mark.skipif(
    bool(services.missing()), reason=f"not installed: {', '.join(services.missing())}"
)


def test_two_workers_share_a_backfill(tmp_path):
    with scene(tmp_path, days=3, a_day=3, late_release_s=0.5) as cluster:
        runs = cluster.backfill()
        assert cluster.all_green(runs, timeout_s=120)
        assert cluster.wrong() == []
        assert cluster.emulator.peak_connections <= 4
        assert cluster.taken().keys() == {"worker-1", "worker-2"}
        assert min(cluster.taken().values()) > 0, cluster.taken()
