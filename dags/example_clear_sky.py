"""Example of an Airflow DAG downstream: how clear each product of a completed day is.

It runs once for every sensing day that `sentinel2_daily` announces as complete, whether that day
was scheduled, triggered or backfilled, and again when `sentinel2_reconcile` has mended the day.
Each time only what changed is computed. Copy it and put your own processing in its place.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, PartitionedAssetTimetable, task

from airflow_copernicus.config.environment import default_output_uri
from airflow_copernicus.dags.ingest import day_asset
from copernicus_dataspace.storage.layout import bands_day_dir

CLEAR_CLASSES = (4, 5, 6, 7, 11)
"""Vegetation, bare soil, water, unclassified and snow of the scene classification; 0 is no data."""

with DAG(
    "example_clear_sky",
    description="Share of clear pixels of every product of a completed day.",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=day_asset("sentinel2_daily")),
    start_date=datetime(2015, 6, 27, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # two runs of one day would undo each other's work
    tags=["sentinel-2", "example"],
):

    @task(retries=2)
    def clear_share(
        partition_key: str | None = None, triggering_asset_events: Any = None
    ) -> dict[str, float]:
        """Return the share of valid pixels that are clear, 0 to 1, by product.

        The result of each product is a file of its id, beside the archive.
        """
        if partition_key is None:
            message = "this DAG runs for one sensing day; give its partition key, YYYY-MM-DD."
            raise ValueError(message)
        root, day = ObjectStoragePath(default_output_uri()), date.fromisoformat(partition_key)
        results = root / "clear_sky" / partition_key
        results.mkdir(parents=True, exist_ok=True)
        for product_id in replaced_or_withdrawn(triggering_asset_events):
            (results / f"{product_id}.json").unlink(missing_ok=True)
        shares = {}
        for item_path in sorted(
            (root / bands_day_dir("S2MSI2A", day)).glob("*/item.json"), key=str
        ):
            item = json.loads(item_path.read_text())
            result = results / f"{item['properties']['dataspace:product_id']}.json"
            if not result.exists():
                print(f"Computing {item['id']}")  # noqa: T201 - goes to the task's log
                result.write_text(json.dumps(share(item_path.parent, item)))
            shares[item["id"]] = json.loads(result.read_text())
        return shares

    clear_share()


def replaced_or_withdrawn(events_by_asset: Any) -> set[str]:
    """Return the ids of products that are gone, from all the events that caused a run.

    Only those of `sentinel2_reconcile` name any: a day of which more has arrived names none.
    """
    extras = [event.extra for events in events_by_asset.values() for event in events]
    return {
        product_id
        for extra in extras
        for product_id in (*extra.get("replaced", ()), *extra.get("withdrawn", ()))
    }


def share(folder: ObjectStoragePath, item: dict[str, Any]) -> float | None:
    """Return the share of one product; None where it has no scene classification."""
    import numpy as np  # noqa: PLC0415 - slow to import, and not needed to parse this file
    from rasterio.io import MemoryFile  # noqa: PLC0415

    scl = item["assets"].get("SCL_20m")
    if scl is None:
        return None
    content = (folder / scl["href"].removeprefix("./")).read_bytes()
    with MemoryFile(content, ext=".jp2") as memory, memory.open() as image:
        classes = image.read(1)
    valid = int(np.count_nonzero(classes))
    clear = int(np.count_nonzero(np.isin(classes, CLEAR_CLASSES)))
    return round(clear / valid, 4) if valid else 0.0
