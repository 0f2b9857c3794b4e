"""Backfills of weeks on two Celery workers, undisturbed and disturbed; figures go to a page."""

import time

import pytest

import services
from tests.e2e.scale_page import record
from tests.e2e.scene import scene

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        bool(services.missing()), reason=f"not installed: {', '.join(services.missing())}"
    ),
]

LATE_S = 1.0
TOKEN_LIFETIME_S = 60
CONNECTIONS = 4
MONTH = {"days": 30, "a_day": 20, "late_release_s": LATE_S, "token_lifetime_s": TOKEN_LIFETIME_S}
MOST_REFUSED = 0.02


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
        record("A month of 600 products, connections freed 1 s late", figures(cluster, began))
        assert_good(cluster)
        assert cluster.emulator.grants["password"] == 1
