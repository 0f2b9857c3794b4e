"""One Airflow DAG for each file of include/ingests, with alerts."""

from __future__ import annotations

from datetime import timedelta

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.ingest import build_dags
from airflow_copernicus.notifications.webhook import FailedDaysNotifier, late_after

globals().update(
    build_dags(
        INGESTS,
        on_failure_callback=FailedDaysNotifier("copernicus_alerts"),
        deadline=late_after(timedelta(hours=12), "copernicus_alerts"),
    )
)
