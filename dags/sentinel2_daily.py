"""One Airflow DAG for each file in include/ingests; the project ships `sentinel2_daily`."""

from airflow_copernicus.dags import ingest_dags

ingest_dags()
