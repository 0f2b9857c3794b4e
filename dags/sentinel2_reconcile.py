"""The Airflow DAG that keeps the archives of all ingests complete, current and undamaged."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.reconcile import build_reconcile_dag

dag = build_reconcile_dag(INGESTS)
