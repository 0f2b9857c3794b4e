"""Sends the project's metrics through Airflow's StatsD or OpenTelemetry client.

docs/reference/metrics.md lists the metrics. Errors of the client never fail a task.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from copernicus_dataspace.transfer_statistics import TransferStatistics

PREFIX: Final = "copernicus."

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def record_transfers(context: Mapping[str, Any], statistics: TransferStatistics) -> Iterator[None]:
    """Send the transfer statistics of a client at the end of the block, also after an error."""
    try:
        yield
    finally:
        tags = _tags(context) | {"task_id": context["ti"].task_id}
        _send_count("requests", statistics.requests, tags)
        _send_count("bytes_transferred", statistics.bytes, tags)
        _send_count("retries", statistics.retries, tags)
        _send_count("rate_limited", statistics.rate_limited, tags)
        _send_time("moving", statistics.moving_s, tags)
        _send_time("waiting", statistics.waiting_s, tags)


def record_search(context: Mapping[str, Any], found: int, offline: int) -> None:
    """Send the numbers of online and offline products of a search."""
    tags = _tags(context)
    _send_count("products_found", found, tags)
    _send_count("products_offline", offline, tags)


def record_run(context: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Send the results of a run, see `copernicus_dataspace.ingest.run_summary.summarise`."""
    tags = _tags(context)
    complete = len(summary["complete_days"])
    _send_count("products_delivered", summary["delivered"], tags)
    _send_count("products_failed", summary["products"] - summary["delivered"], tags)
    _send_count("bytes_delivered", summary["bytes_delivered"], tags)
    _send_count("days_complete", complete, tags)
    _send_count("days_incomplete", len(summary["days"]) - complete, tags)


def record_quota(used_bytes: int, limit_bytes: float) -> None:
    """Send the used part of the account's quota, and the quota."""
    with _errors_logged():
        stats.gauge(f"{PREFIX}quota_used_bytes", used_bytes)
        stats.gauge(f"{PREFIX}quota_bytes", limit_bytes)


def record_report(report: Mapping[str, Any]) -> None:
    """Send the completeness of an archive, see `copernicus_dataspace.reconcile.report.build`."""
    tags, share = {"dag_id": report["ingest"]}, report["completeness"]["30"]
    with _errors_logged():
        stats.gauge(f"{PREFIX}archive_missing", report["still_missing"], tags=tags)
        stats.gauge(f"{PREFIX}archive_offline", report["offline"], tags=tags)
        if share is not None:
            stats.gauge(f"{PREFIX}archive_complete_percent", share, tags=tags)


def _tags(context: Mapping[str, Any]) -> dict[str, str]:
    return {"dag_id": context["dag_run"].dag_id}


def _send_count(name: str, count: int, tags: Mapping[str, str]) -> None:
    with _errors_logged():
        stats.incr(f"{PREFIX}{name}", count, tags=dict(tags))


def _send_time(name: str, seconds: float, tags: Mapping[str, str]) -> None:
    with _errors_logged():
        stats.timing(f"{PREFIX}{name}", timedelta(seconds=seconds), tags=dict(tags))


@contextlib.contextmanager
def _errors_logged() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - metrics must not fail a task
        logger.warning("A metric could not be sent: %s", error)
