"""Replaced and withdrawn products are announced, and found again by a DAG downstream."""

import json
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_copernicus.assets import day_asset, removed_products
from airflow_copernicus.operators import CopernicusAnnounceOperator
from airflow_copernicus.runs.ingest_archive import MAX_LISTED_CHANGES
from copernicus_dataspace.errors import NotStagedError
from tests.airflow_copernicus.conftest import Events

DAYS = ["2024-08-01", "2024-08-02"]
INGEST = {"dag_id": "lake", "output_uri": "file:///data"}


def write(folder, removed):
    """Write the changes of two days; return the reference to them."""
    days = {
        DAYS[0]: {
            "replaced": {f"old{n}": [f"new{n}"] for n in range(removed - 1)},
            "withdrawn": [],
        },
        DAYS[1]: {"replaced": {}, "withdrawn": ["gone"]},
    }
    folder.mkdir()
    (folder / "changes.json").write_text(json.dumps(days))
    return {"days": DAYS, "output_uri": folder.as_uri(), "path": "changes.json"}


def announced(change):
    """Return the task and the event it makes."""
    task = CopernicusAnnounceOperator(task_id="announce", ingest=INGEST, change=change)
    event = Events()
    task.execute({"outlet_events": {day_asset("lake"): event}})
    return task, event


@pytest.mark.parametrize("number", [2, MAX_LISTED_CHANGES, MAX_LISTED_CHANGES + 1, 5000])
def test_every_removed_product_is_known_downstream(tmp_path, number):
    change = write(tmp_path / "output", number)
    task, event = announced(change)
    assert task.outlets == [day_asset("lake")]
    assert event.partitions == DAYS
    assert ("replaced" in event.extra) == (number <= MAX_LISTED_CHANGES)
    assert len(json.dumps(event.extra)) < 10_000
    events = {day_asset("lake"): [SimpleNamespace(extra=event.extra)] * 2}
    assert removed_products(events) == {"gone", *(f"old{n}" for n in range(number - 1))}


def test_events_of_complete_days_and_of_earlier_versions_are_read_too():
    extras = [
        {"products": {"2024-08-01": 3}, "summary": "file:///data/summary.json"},
        {"replaced": {"old": ["new"]}, "withdrawn": ["gone"]},
        {},
    ]
    events = {day_asset("lake"): [SimpleNamespace(extra=extra) for extra in extras]}
    assert removed_products(events) == {"old", "gone"}


def test_without_changes_there_is_no_event():
    with pytest.raises(AirflowSkipException):
        announced(None)


@pytest.mark.parametrize("content", ["", "{", '{"2024-08-01": {"replaced": 5}}'])
def test_a_damaged_list_is_an_error(tmp_path, content):
    change = write(tmp_path / "output", 2)
    (tmp_path / "output" / "changes.json").write_text(content)
    with pytest.raises(NotStagedError, match="missing or damaged"):
        announced(change)
