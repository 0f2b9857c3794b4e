"""The Airflow DAG `sentinel2_reconcile`: compares and repairs the archives of all ingests."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.reconcile import build_reconcile_dag

dag = build_reconcile_dag(INGESTS)
