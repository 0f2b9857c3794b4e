"""Earlier import path of `airflow_copernicus.dags.ingest`."""

from airflow_copernicus.assets import day_asset
from airflow_copernicus.dags.ingest import build_dag, dag_of
from airflow_copernicus.dags.ingest import ingest_dags as build_dags

__all__ = ["build_dag", "build_dags", "dag_of", "day_asset"]
