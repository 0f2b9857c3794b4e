"""The Airflow DAG that keeps the archives of all ingests complete, current and undamaged."""

from __future__ import annotations

from copernicus.project import INGESTS
from copernicus.reconcile import build_reconcile_dag

dag = build_reconcile_dag(INGESTS)
