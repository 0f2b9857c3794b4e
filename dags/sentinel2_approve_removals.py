"""The DAG `sentinel2_approve_removals`: approval of removals above the limits of an ingest."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.approvals import build_approval_dag

dag = build_approval_dag(INGESTS)
