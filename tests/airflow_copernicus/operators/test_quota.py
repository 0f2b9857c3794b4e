"""An account that may move so much in thirty days."""

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException
from fsspec.implementations.local import LocalFileSystem

from airflow_copernicus.operators import CopernicusDownloadOperator
from copernicus_dataspace.errors import QuotaReachedError
from copernicus_dataspace.ingest.quota import Quota, Usage
from copernicus_dataspace.storage.store import Store
from copernicus_dataspace.transfer_statistics import TransferStatistics
from copernicus_dataspace_emulator import make_product
from tests.airflow_copernicus.conftest import lake_product, make_context, transfers

FILE_BYTES = 44_000
"""A little less than the file that is wanted of each product."""


@pytest.fixture
def limited(emulator, connect):
    def limit(quota_gb):
        connect(emulator.connection(quota_gb=quota_gb))

    for hour in range(10, 16):
        emulator.add(lake_product(sensed=f"2024-08-01T{hour}:36:01.024Z", scale=0.01))
    return limit


def test_no_transfer_begins_above_the_quota_and_nothing_is_lost(
    emulator, limited, ingest, caplog, capsys
):
    limited(2.5 * FILE_BYTES / 1e9)
    with pytest.raises(AirflowRescheduleException) as caught:
        ingest()
    away = caught.value.reschedule_date - datetime.now(UTC)
    assert timedelta(minutes=59) < away <= timedelta(hours=1)
    said = caplog.text + capsys.readouterr().out
    assert "were transferred to this output with this account in the last 30 days" in said
    assert (
        "No new transfer starts until usage is below the quota. The task is rescheduled for" in said
    )
    moved = len(transfers(emulator))
    assert 2 <= moved <= 3

    with pytest.raises(AirflowRescheduleException):
        ingest()
    assert len(transfers(emulator)) == moved

    limited(12_000)
    ran = ingest()
    assert ran.errors == []
    assert ran.summary["delivered"] == 6
    assert len(transfers(emulator)) == 6


def test_the_summary_shows_thirty_days_of_the_account(emulator, limited, ingest):
    limited(12_000)
    first = ingest()
    assert first.summary["bytes_30_days"] == first.summary["bytes_transferred"] > 6 * FILE_BYTES
    assert first.summary["quota_bytes"] == 12e12
    emulator.add(make_product(tile="36TXL", sensed="2024-08-02T08:36:01.024Z", scale=0.01))
    second = ingest(make_context("2024-08-02", "scheduled__2024-08-02"))
    assert 0 < second.summary["bytes_transferred"] < first.summary["bytes_transferred"]
    both = first.summary["bytes_transferred"] + second.summary["bytes_transferred"]
    assert second.summary["bytes_30_days"] == both


def test_a_task_that_comes_back_overwrites_no_record_of_itself(
    emulator, limited, ingest, tmp_path, monkeypatch
):
    limited(2.5 * FILE_BYTES / 1e9)
    kept = []
    execute = CopernicusDownloadOperator.execute

    def twice(self, context):
        try:
            execute(self, context)
        except AirflowRescheduleException:
            limited(12_000)
            kept.append(self.batch["batch"])
            execute(self, context)

    monkeypatch.setattr(CopernicusDownloadOperator, "execute", twice)
    ran = ingest()
    assert len(kept) == 1
    assert ran.summary["bytes_transferred"] == ran.summary["bytes_30_days"]
    assert ran.summary["delivered"] == 6


def test_what_needs_no_transfer_waits_for_no_quota(emulator, limited, ingest):
    limited(12_000)
    assert ingest().errors == []
    moved = len(transfers(emulator))
    limited(0)
    assert ingest().errors == []
    assert len(transfers(emulator)) == moved


def test_a_batch_that_is_fetched_waits_for_no_quota(emulator, connect, ingest):
    emulator.add(lake_product())
    connect(emulator.connection(quota_gb=0.5 * FILE_BYTES / 1e9))
    assert ingest().errors == []


def test_tasks_that_run_see_what_others_move(tmp_path):
    now, usage = [0.0], Usage(Store(LocalFileSystem(), str(tmp_path)), "a")
    mine, other = TransferStatistics(), TransferStatistics()
    first, second = (Quota(usage, 100, statistics, lambda: now[0]) for statistics in (mine, other))
    first.check()
    second.check()
    mine.received(60, 1.0)
    other.received(60, 1.0)
    first.check()
    now[0] = 60.0
    first.check()
    with pytest.raises(QuotaReachedError):
        second.check()
    now[0] = 120.0
    with pytest.raises(QuotaReachedError):
        first.check()
    first.note()
    assert usage.total_bytes() == 120
