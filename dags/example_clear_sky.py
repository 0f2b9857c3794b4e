"""Example of a downstream Airflow DAG: the share of clear pixels of each product of a day.

It runs once for every sensing day that `sentinel2_daily` announces as complete, whether that day
was scheduled, triggered or backfilled, and again after `sentinel2_reconcile` has repaired the day.
Each run computes only new or changed products. Copy it and replace the processing by your own.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import DAG, ObjectStoragePath, PartitionedAssetTimetable, task

from airflow_copernicus.assets import day_asset, removed_products
from airflow_copernicus.config.environment import default_output_uri
from copernicus_dataspace.storage.layout import bands_day_dir

CLEAR_CLASSES = (4, 5, 6, 7, 11)
"""Classes of the scene classification: vegetation, bare soil, water, unclassified and snow."""

with DAG(
    "example_clear_sky",
    description="Share of clear pixels of every product of a complete day.",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=day_asset("sentinel2_daily")),
    start_date=datetime(2015, 6, 27, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # concurrent runs of the same day would conflict
    tags=["sentinel-2", "example"],
):

    @task(retries=2)
    def clear_share(
        partition_key: str | None = None, triggering_asset_events: Any = None
    ) -> dict[str, float]:
        """Return the clear share of valid pixels, 0 to 1, by product.

        Results are stored by product id in the folder clear_sky of the output.
        """
        if partition_key is None:
            message = "this DAG processes one sensing day; set its partition key, YYYY-MM-DD."
            raise ValueError(message)
        root, day = ObjectStoragePath(default_output_uri()), date.fromisoformat(partition_key)
        results = root / "clear_sky" / partition_key
        results.mkdir(parents=True, exist_ok=True)
        for product_id in removed_products(triggering_asset_events):
            (results / f"{product_id}.json").unlink(missing_ok=True)
        shares = {}
        for item_path in sorted(
            (root / bands_day_dir("S2MSI2A", day)).glob("*/item.json"), key=str
        ):
            item = json.loads(item_path.read_text())
            result = results / f"{item['properties']['dataspace:product_id']}.json"
            if not result.exists():
                print(f"Computing {item['id']}")  # noqa: T201 - goes to the task log
                result.write_text(json.dumps(share(item_path.parent, item)))
            shares[item["id"]] = json.loads(result.read_text())
        return shares

    clear_share()


def share(folder: ObjectStoragePath, item: dict[str, Any]) -> float | None:
    """Return the clear share of a product; None if it has no scene classification."""
    import numpy as np  # noqa: PLC0415 - slow to import, not needed to parse this file
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
