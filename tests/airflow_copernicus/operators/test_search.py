"""What the search refuses before there are tasks, and what it hands on at any size."""

import json

import pytest
from airflow.sdk.serde import serialize

from airflow_copernicus.links import CopernicusBrowserLink
from airflow_copernicus.operators import CopernicusDownloadOperator, CopernicusSearchOperator
from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.errors import ConfigurationError
from copernicus_dataspace.ingest.run_records import RunRecords
from copernicus_dataspace.storage.layout import RunLayout
from tests.airflow_copernicus.conftest import lake_product, make_context

MANY = 20_000
A_DAY = 60
MOST_XCOM_BYTES = 40_000  # 48 kB is the bound; ids of tasks may be longer than here


@pytest.fixture
def output(tmp_path):
    return (tmp_path / "output").as_uri()


@pytest.fixture
def search(connected, output):
    """Return what runs a search for one tile, in a task with a long name."""

    def run(context=None, **changes):
        asked = {"tiles": ["T36TXL"], "bands": ["SCL_20m"], "output_uri": output, **changes}
        context = context or make_context()
        context["ti"].task_id = "sentinel2.search"
        return CopernicusSearchOperator(task_id="search", **asked).execute(context)

    return run


def sensed(number):
    day, minute = divmod(number, A_DAY)
    return f"{2016 + day // 336}-{1 + day % 336 // 28:02}-{1 + day % 28:02}T08:{minute:02}:01.024Z"


def test_more_transfers_than_the_account_has_are_refused_before_the_search(connected, search):
    connected.add(lake_product())
    with pytest.raises(ConfigurationError, match="is 4, but"):
        search(connections=5)
    assert connected.requests == []
    assert len(search(connections=4)) == 1


@pytest.mark.parametrize("count", [0, 8, 1000, pytest.param(MANY, marks=pytest.mark.long)])
def test_any_number_of_products_is_handed_on_in_small_references(connected, search, output, count):
    names = {
        connected.add(lake_product(sensed=sensed(number), content=False)).name
        for number in range(count)
    }
    found = search(make_context(run_type="manual"), first_day="2016-01-01", last_day="2025-12-31")
    assert len(found) <= 200
    assert len(json.dumps(serialize(found))) < MOST_XCOM_BYTES
    records = RunRecords(
        open_store(output),
        RunLayout("sentinel2_daily", "scheduled__2024-08-01"),
        "sentinel2.search",
    )
    batches = [[product.name for product in records.products(one["batch"])] for one in found]
    shared = [name for batch in batches for name in batch]
    assert len(shared) == count
    assert set(shared) == names
    assert max(map(len, batches), default=0) <= max(25, -(-count // 200))


def test_a_batch_is_named_and_leads_to_its_first_product(connected, search):
    for number in range(9):
        connected.add(lake_product(sensed=sensed(number), content=False))
    last = search(first_day="2016-01-01")[-1]
    assert last["label"] == "2 products from T36TXL 2016-01-01 08:07 S2A L2A N05.11"
    task = CopernicusDownloadOperator(task_id="download", batch=last, bands=["SCL_20m"])
    link = CopernicusBrowserLink().get_link(task, ti_key=None)
    assert "lat=41.04&lng=34.85" in link
    assert "datasetId=S2_L2A_CDAS&fromTime=2016-01-01T00" in link
