"""Earlier import path of `airflow_copernicus.config.environment`."""

from airflow_copernicus.config.environment import INGESTS, default_output_uri

__all__ = ["INGESTS", "default_output_uri"]
