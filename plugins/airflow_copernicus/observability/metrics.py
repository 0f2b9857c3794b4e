"""Sends the project's metrics through Airflow's own, so StatsD or OpenTelemetry as it is set up.

docs/reference/metrics.md lists them. What cannot be sent never makes a task fail.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from copernicus_dataspace.http.statistics import TransferStatistics

PREFIX: Final = "copernicus."

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def of_transfers(context: Mapping[str, Any], statistics: TransferStatistics) -> Iterator[None]:
    """Send what a client has moved, at the end, and also where that is an error."""
    try:
        yield
    finally:
        tags = _tags(context) | {"task_id": context["ti"].task_id}
        _count("requests", statistics.requests, tags)
        _count("bytes_transferred", statistics.bytes, tags)
        _count("retries", statistics.retries, tags)
        _count("rate_limited", statistics.rate_limited, tags)
        _time("moving", statistics.moving_s, tags)
        _time("waiting", statistics.waiting_s, tags)


def of_search(context: Mapping[str, Any], found: int, offline: int) -> None:
    """Send how many products a search found, and how many more are offline."""
    tags = _tags(context)
    _count("products_found", found, tags)
    _count("products_offline", offline, tags)


def of_run(context: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Send what became of a run, see `copernicus_dataspace.ingest.run_summary.summarise`."""
    tags = _tags(context)
    complete = len(summary["complete_days"])
    _count("products_delivered", summary["delivered"], tags)
    _count("products_failed", summary["products"] - summary["delivered"], tags)
    _count("bytes_delivered", summary["bytes_delivered"], tags)
    _count("days_complete", complete, tags)
    _count("days_incomplete", len(summary["days"]) - complete, tags)


def quota(used_bytes: int, limit_bytes: float) -> None:
    """Send how much of the account's quota is used, and the quota."""
    with _harmless():
        stats.gauge(f"{PREFIX}quota_used_bytes", used_bytes)
        stats.gauge(f"{PREFIX}quota_bytes", limit_bytes)


def of_report(report: Mapping[str, Any]) -> None:
    """Send how complete an archive is, see `copernicus_dataspace.reconcile.report.build`."""
    tags, share = {"dag_id": report["ingest"]}, report["completeness"]["30"]
    with _harmless():
        stats.gauge(f"{PREFIX}archive_missing", report["still_missing"], tags=tags)
        stats.gauge(f"{PREFIX}archive_offline", report["offline"], tags=tags)
        if share is not None:
            stats.gauge(f"{PREFIX}archive_complete_percent", share, tags=tags)


def _tags(context: Mapping[str, Any]) -> dict[str, str]:
    return {"dag_id": context["dag_run"].dag_id}


def _count(name: str, count: int, tags: Mapping[str, str]) -> None:
    with _harmless():
        stats.incr(f"{PREFIX}{name}", count, tags=dict(tags))


def _time(name: str, seconds: float, tags: Mapping[str, str]) -> None:
    with _harmless():
        stats.timing(f"{PREFIX}{name}", timedelta(seconds=seconds), tags=dict(tags))


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of any client, and never worth a task
        logger.warning("A metric could not be sent: %s", error)
