"""What a collector of metrics receives, over a socket of its own."""

import re
import socket
import warnings
from collections import Counter
from pathlib import Path

import pytest
import yaml
from airflow.sdk._shared import observability
from airflow.sdk._shared.observability.metrics import stats as backend
from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
from airflow.sdk._shared.observability.metrics.statsd_logger import get_statsd_logger
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from statsd import StatsClient

from airflow_copernicus.observability import metrics
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product

DOCS = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
BYTES = 1_000_000
REPORT = {"ingest": "lake", "still_missing": 2, "offline": 3, "completeness": {"30": 99.5}}


def sends_to(monkeypatch, make):
    monkeypatch.setattr(backend, "_factory", make)
    monkeypatch.setattr(backend, "_backend", None)


class Collector:
    """A StatsD that keeps every line."""

    def __init__(self, sock):
        self._sock = sock
        self.port = sock.getsockname()[1]
        sock.settimeout(0.5)

    def lines(self):
        found = []
        try:
            while True:
                found += self._sock.recv(65536).decode().splitlines()
        except TimeoutError:
            return found

    def sums(self):
        """Return the sum of each of our metrics, by name without tags."""
        total = Counter()
        for line in self.lines():
            name, _, rest = line.partition(":")
            plain = name.partition(",")[0]
            if plain.startswith("airflow.copernicus."):
                total[plain.removeprefix("airflow.")] += float(rest.partition("|")[0])
        return total


@pytest.fixture
def statsd(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        collector = Collector(sock)
        where = {"host": "127.0.0.1", "port": collector.port, "prefix": "airflow"}
        tagged = {"influxdb_tags_enabled": True, "statsd_influxdb_enabled": True}
        sends_to(monkeypatch, lambda: get_statsd_logger(stats_class=StatsClient, **where, **tagged))
        yield collector


@pytest.fixture
def otel(monkeypatch):
    reader = InMemoryMetricReader()
    logger = SafeOtelLogger(MeterProvider(metric_readers=[reader]))
    sends_to(monkeypatch, lambda: logger)
    return reader


def a_run(emulator, ingest):
    emulator.add(lake_product())
    bad = emulator.add(lake_product(sensed="2024-08-01T10:36:01.024Z", seed=7))
    emulator.add(lake_product(sensed="2024-08-01T12:36:01.024Z", seed=8))
    emulator.faults.add(Fault(service="download", status=403, times=None, match=bad.id))
    emulator.faults.add(Fault(service="download", status=429, times=2, retry_after=0))
    emulator.faults.add(Fault(service="catalogue", status=503, times=1))
    return ingest()


def test_a_run_is_counted(connected, ingest, statsd):
    ran = a_run(connected, ingest)
    sums = statsd.sums()
    expected = {
        "products_found": 3,
        "products_offline": 0,
        "products_delivered": 2,
        "products_failed": 1,
        "days_complete": 0,
        "days_incomplete": 1,
        "retries": 3,
        "rate_limited": 2,
        "requests": ran.summary["requests"],
        "bytes_delivered": ran.summary["bytes_delivered"],
    }
    assert {name: sums[f"copernicus.{name}"] for name in expected} == expected
    assert sums["copernicus.bytes_transferred"] >= ran.summary["bytes_transferred"] > BYTES / 1e3
    assert sums["copernicus.moving"] > 0
    assert "copernicus.waiting" in sums
    assert (ran.summary["retries"], ran.summary["rate_limited"]) == (3, 2)


def test_the_quota_is_a_gauge(statsd):
    metrics.record_quota(3 * BYTES, 12 * BYTES)
    assert statsd.lines() == [
        f"airflow.copernicus.quota_used_bytes:{3 * BYTES}|g",
        f"airflow.copernicus.quota_bytes:{12 * BYTES}|g",
    ]


def test_how_complete_an_archive_is_is_a_gauge(statsd):
    metrics.record_report(REPORT)
    metrics.record_report({**REPORT, "completeness": {"30": None}})
    missing = "airflow.copernicus.archive_missing,dag_id=lake:2|g"
    offline = "airflow.copernicus.archive_offline,dag_id=lake:3|g"
    share = "airflow.copernicus.archive_complete_percent,dag_id=lake:99.5|g"
    assert statsd.lines() == [missing, offline, share, missing, offline]


def test_tags_are_few(connected, ingest, statsd):
    a_run(connected, ingest)
    ours = [line.partition(":")[0] for line in statsd.lines() if "copernicus." in line]
    tags = {tag for line in ours for tag in line.split(",")[1:]}
    assert tags == {"dag_id=sentinel2_daily", "task_id=search"}


def test_opentelemetry_takes_every_metric_as_it_is(connected, ingest, otel, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        a_run(connected, ingest)
        metrics.record_quota(1, 2)
        metrics.record_report(REPORT)
    (resource,) = otel.get_metrics_data().resource_metrics
    names = {one.name.removeprefix("airflow.") for one in resource.scope_metrics[0].metrics}
    assert not [record for record in caplog.records if "metric" in record.message.lower()]
    assert names == set(re.findall(r"^\| `(copernicus\.\w+)`", DOCS.read_text(), re.MULTILINE))


def test_no_metric_is_one_of_airflows_own():
    template = Path(observability.__file__).parent / "metrics" / "metrics_template.yaml"
    names = {one["name"] for one in yaml.safe_load(template.read_text())["metrics"]}
    assert names
    assert not [name for name in names if name.startswith(metrics.PREFIX)]


def test_what_cannot_be_sent_fails_nothing(connected, ingest, monkeypatch, caplog):
    def broken():
        raise RuntimeError("no such collector")

    sends_to(monkeypatch, broken)
    connected.add(lake_product())
    assert ingest().errors == []
    assert "no such collector" in caplog.text
