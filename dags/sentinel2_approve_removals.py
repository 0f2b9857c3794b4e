"""The Airflow DAG in which a person approves removals beyond the limits of an ingest."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.approvals import build_approval_dag

dag = build_approval_dag(INGESTS)
