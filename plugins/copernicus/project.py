"""Earlier import path of `airflow_copernicus.config.environment`."""

from airflow_copernicus.config.environment import default_output_uri, ingests_folder

INGESTS = ingests_folder()

__all__ = ["INGESTS", "default_output_uri"]
