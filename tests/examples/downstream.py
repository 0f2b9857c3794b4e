"""An Airflow DAG that runs for every complete day of `lake_scl`."""

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from airflow_copernicus.assets import day_asset, removed_products

# [START howto_downstream]
with DAG(
    "after_lake_scl",
    schedule=PartitionedAssetTimetable(assets=day_asset("lake_scl")),
):

    @task
    def work(partition_key=None, triggering_asset_events=None):
        outdated = removed_products(triggering_asset_events)
        print(f"{partition_key} is complete; results of {len(outdated)} products are outdated")

    work()
# [END howto_downstream]
