"""The Airflow DAG in which a person approves removals beyond the limits of an ingest."""

from __future__ import annotations

from copernicus.approvals import build_approval_dag
from copernicus.project import INGESTS

dag = build_approval_dag(INGESTS)
