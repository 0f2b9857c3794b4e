"""The example downstream, without Airflow: what it computes, and what it forgets."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.dag_processing.dagbag import DagBag

EXAMPLE = Path(__file__).parents[2] / "dags" / "example_clear_sky.py"
DAY = "2024-08-01"


@pytest.fixture(scope="module")
def clear_share():
    bag = DagBag(dag_folder=str(EXAMPLE))
    return bag.dags["example_clear_sky"].get_task("clear_share").python_callable


@pytest.fixture
def output(tmp_path, monkeypatch):
    """An archive that holds the products 3 and 4, and results of 1, 2 and 3."""
    monkeypatch.setenv("SENTINEL2_OUTPUT_URI", tmp_path.as_uri())
    results = tmp_path / "clear_sky" / DAY
    results.mkdir(parents=True)
    for number in "123":
        (results / f"{number}.json").write_text("0.5")
    for number in "34":
        folder = tmp_path / "bands/S2MSI2A/2024/08/01" / f"product {number}"
        folder.mkdir(parents=True)
        facts = {"dataspace:product_id": number}
        item = {"id": f"product {number}", "properties": facts, "assets": {}}
        (folder / "item.json").write_text(json.dumps(item))
    return results


def test_a_run_heeds_all_events_that_caused_it(clear_share, output):
    extras = (
        {"products": {DAY: 1}, "summary": "file:///summary.json"},
        {"replaced": {"1": ["4"]}, "withdrawn": []},
        {"replaced": {}, "withdrawn": ["2"]},
    )
    events = {"the day": [SimpleNamespace(extra=extra) for extra in extras]}
    shares = clear_share(partition_key=DAY, triggering_asset_events=events)
    assert shares == {"product 3": 0.5, "product 4": None}
    assert {path.stem for path in output.iterdir()} == {"3", "4"}


def test_a_run_by_hand_computes_what_has_no_result(clear_share, output):
    assert clear_share(partition_key=DAY, triggering_asset_events={}).keys() == {
        "product 3", "product 4",
    }  # fmt: skip
    assert {path.stem for path in output.iterdir()} == {"1", "2", "3", "4"}
