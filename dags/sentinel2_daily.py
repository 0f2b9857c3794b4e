"""One Airflow DAG for each file in include/ingests; the project ships `sentinel2_daily`."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.ingest import build_dags

globals().update(build_dags(INGESTS))
