"""One Airflow DAG for each file of include/ingests; `sentinel2_daily` is the one that ships."""

from __future__ import annotations

from copernicus.dag import build_dags
from copernicus.project import INGESTS

globals().update(build_dags(INGESTS))
