"""An Airflow DAG that runs for every completed day of `sentinel2_daily`."""

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from airflow_copernicus.dags.ingest import day_asset

schedule = PartitionedAssetTimetable(assets=day_asset("sentinel2_daily"))

with DAG("mine", schedule=schedule) as dag:

    @task
    def work(partition_key=None, triggering_asset_events=None):
        print(f"{partition_key} is complete")
        for events in triggering_asset_events.values():
            for event in events:
                print(event.extra)

    work()
