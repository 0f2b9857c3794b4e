"""An ingest DAG of Airflow that reports failed and late days to a webhook."""

from datetime import timedelta

from airflow_copernicus.dags import ingest_dag
from airflow_copernicus.notifications.webhook import FailedDaysNotifier, late_after

# [START howto_alerts]
ingest_dag(
    "lake_with_alerts",
    area="lake.geojson",
    bands=["SCL_20m"],
    on_failure_callback=FailedDaysNotifier("copernicus_alerts"),
    deadline=late_after(timedelta(hours=12), "copernicus_alerts"),
)
# [END howto_alerts]
