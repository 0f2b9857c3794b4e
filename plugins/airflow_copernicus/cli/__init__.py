"""Commands of `airflow copernicus`."""
