"""Earlier import path of `airflow_copernicus.hooks.copernicus`."""

from airflow_copernicus.hooks.copernicus import CopernicusHook

__all__ = ["CopernicusHook"]
