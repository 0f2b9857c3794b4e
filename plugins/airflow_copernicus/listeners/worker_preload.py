"""Preloads modules in a Celery worker, so that its tasks do not import them one by one.

Each task is a short-lived fork of its worker and spends most of its time on imports. Celery imports
this module before it forks, with this Airflow setting:

    AIRFLOW__CELERY__EXTRA_CELERY_CONFIG=
        {"imports": ["airflow_copernicus.listeners.worker_preload"]}

Restart such workers after an update of the code.
"""

from __future__ import annotations

from importlib import import_module

from airflow.sdk import ObjectStoragePath

for _name in (
    "airflow.dag_processing.dagbag",
    "airflow_copernicus.dags.ingest",
    "copernicus_dataspace.geometry.area",
    "pystac",
    "rasterio.io",
):
    import_module(_name)

_storage = ObjectStoragePath("file:///").fs  # loads all file system providers
