"""Earlier import path of `airflow_copernicus.dags.ingest`."""

from airflow_copernicus.dags.ingest import build_dag, build_dags, dag_of, day_asset

__all__ = ["build_dag", "build_dags", "dag_of", "day_asset"]
