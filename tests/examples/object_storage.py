"""An Airflow DAG whose files go to object storage."""

from airflow_copernicus.dags import ingest_dag

# [START howto_object_storage]
ingest_dag(
    "lake_in_bucket",
    area="lake.geojson",
    bands=["SCL_20m"],
    output_uri="s3://sentinel2_store@my-bucket/sentinel2",
)
# [END howto_object_storage]
