"""One Airflow DAG for each file of include/ingests; `sentinel2_daily` is the one that ships."""

from __future__ import annotations

from airflow_copernicus.config.environment import INGESTS
from airflow_copernicus.dags.ingest import build_dags

globals().update(build_dags(INGESTS))
