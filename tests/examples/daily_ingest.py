from airflow_copernicus.dags import ingest_dag, reconcile_dag

lake = ingest_dag("lake_scl", area="lake.geojson", bands=["SCL_20m"], max_cloud_cover=20)
audit = reconcile_dag()
