"""Assets of ingests, and what their events say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset

if TYPE_CHECKING:
    from collections.abc import Mapping


def day_asset(dag_id: str) -> Asset:
    """Return the asset of an ingest's complete sensing days.

    The partitions of its events are days, ``YYYY-MM-DD``.
    """
    return Asset(f"sentinel2_day_{dag_id}", uri=f"x-copernicus://{dag_id}/day")


def removed_products(triggering_asset_events: Mapping[Any, Any]) -> set[str]:
    """Return the ids of products that were replaced or withdrawn, so that derived data is outdated.

    Args:
        triggering_asset_events: Of the context of a task, with events of `day_asset`.

    Raises:
        NotStagedError: An event refers to a list that is missing or damaged.
    """
    from airflow_copernicus.runs.ingest_archive import (  # noqa: PLC0415 - not to parse a DAG file
        removed_ids,
    )

    events = (event for events in triggering_asset_events.values() for event in events)
    return {product_id for event in events for product_id in removed_ids(event.extra)}
