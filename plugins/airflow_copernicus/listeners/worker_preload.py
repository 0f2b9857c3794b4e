"""Imports, once in a Celery worker, what each of its tasks would else import for itself.

A task is a fork of its worker and lives for seconds, most of which go into imports. Celery imports
this module before it forks where Airflow's settings say so:

    AIRFLOW__CELERY__EXTRA_CELERY_CONFIG=
        {"imports": ["airflow_copernicus.listeners.worker_preload"]}

Such a worker uses the code it was started with: restart it after an update.
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

_storage = ObjectStoragePath("file:///").fs  # any makes Airflow load all kinds of storage
