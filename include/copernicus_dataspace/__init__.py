"""Sentinel-2 retrieval from the Copernicus Data Space Ecosystem, free of Airflow."""
