"""Example of an Airflow DAG downstream: how clear each product of a completed day is.

It runs once for every sensing day that `sentinel2_daily` announces as complete, whether that day
was scheduled, triggered or backfilled. Copy it and put your own processing in its place.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

from airflow.sdk import DAG, ObjectStoragePath, PartitionedAssetTimetable, task

from copernicus.dag import day_asset
from copernicus.project import default_output_uri
from dataspace.layout import bands_day_dir

CLEAR_CLASSES = (4, 5, 6, 7, 11)
"""Vegetation, bare soil, water, unclassified and snow of the scene classification; 0 is no data."""

with DAG(
    "example_clear_sky",
    description="Share of clear pixels of every product of a completed day.",
    doc_md=__doc__,
    schedule=PartitionedAssetTimetable(assets=day_asset("sentinel2_daily")),
    start_date=datetime(2015, 6, 27, tzinfo=UTC),
    catchup=False,
    tags=["sentinel-2", "example"],
):

    @task(retries=2)
    def clear_share(partition_key: str | None = None) -> dict[str, float]:
        """Return the share of valid pixels that are clear, 0 to 1, by product."""
        import numpy as np  # noqa: PLC0415 - slow to import, and not needed to parse this file
        from rasterio.io import MemoryFile  # noqa: PLC0415

        if partition_key is None:
            message = "this DAG runs for one sensing day; give its partition key, YYYY-MM-DD."
            raise ValueError(message)
        root = ObjectStoragePath(default_output_uri())
        folder = root / bands_day_dir("S2MSI2A", date.fromisoformat(partition_key))
        shares = {}
        for item_path in sorted(folder.glob("*/item.json"), key=str):
            item = json.loads(item_path.read_text())
            name = next((name for name in item["assets"] if name.endswith("_SCL_20m.jp2")), None)
            if name is None:
                continue
            content = (item_path.parent / name).read_bytes()
            with MemoryFile(content, ext=".jp2") as memory, memory.open() as image:
                classes = image.read(1)
            valid = int(np.count_nonzero(classes))
            clear = int(np.count_nonzero(np.isin(classes, CLEAR_CLASSES)))
            shares[item["id"]] = round(clear / valid, 4) if valid else 0.0
        print(f"Clear share on {partition_key}: {shares}")  # noqa: T201 - goes to the task's log
        return shares

    clear_share()
