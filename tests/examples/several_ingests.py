"""Several ingests in one Airflow DAG file, and one DAG for each ingest file of a folder."""

from pathlib import Path

from airflow_copernicus.dags import ingest_dag, ingest_dags

# [START howto_several_ingests]
BANDS = {"vegetation": ["B04_10m", "B08_10m"], "water": ["B03_10m", "B08_10m"]}

for name, bands in BANDS.items():
    ingest_dag(f"lake_{name}", area="lake.geojson", bands=[*bands, "SCL_20m"], connections=1)

ingest_dags(Path(__file__).parent / "wanted")
# [END howto_several_ingests]
