"""An Airflow DAG of the operators: two bands of every clear product of a day over the lake."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task_group

from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusExtractOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from airflow_copernicus.timetables import SensingDayTimetable

BANDS = ["B04_10m", "B08_10m"]

with DAG(
    "lake_two_bands",
    schedule=SensingDayTimetable(publication_delay=timedelta(hours=24)),
    start_date=datetime(2024, 8, 1, tzinfo=UTC),
    catchup=False,
) as dag:
    search = CopernicusSearchOperator(
        task_id="search", area="lake", bands=BANDS, max_cloud_cover=20, connections=2
    )

    @task_group
    def product(batch):
        download = CopernicusDownloadOperator(
            task_id="download", batch=batch, bands=BANDS, pool="copernicus", pool_slots=2
        )
        extract = CopernicusExtractOperator(
            task_id="extract", batch=batch, bands=BANDS, trigger_rule="all_done"
        )
        download >> extract

    publish = CopernicusPublishOperator(
        task_id="publish", search_id="search", trigger_rule="all_done"
    )
    search >> product.expand(batch=search.output) >> publish
