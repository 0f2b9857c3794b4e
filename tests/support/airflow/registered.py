"""Ingests of files, registered as their DAGs do it."""

from airflow_copernicus.config.environment import area_folders
from airflow_copernicus.config.ingest_settings import Ingest
from airflow_copernicus.runs.context import open_store
from airflow_copernicus.runs.ingest_registry import register
from copernicus_dataspace.geometry.area import Area


def registered(path):
    """Register the ingest of a file in its output; return what names it there."""
    ingest = Ingest.read(path)
    named, output_uri = ingest.defaults["area"], ingest.defaults["output_uri"]
    area = Area.parse(named, folders=area_folders(path.parent)) if named else None
    register(open_store(output_uri, [output_uri]), ingest, area)
    return {"dag_id": ingest.dag_id, "output_uri": output_uri}
