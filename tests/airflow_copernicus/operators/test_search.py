"""What the search refuses before there are tasks, and what it hands on at any size."""

import contextlib
import json
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.sdk.serde import serialize

from airflow_copernicus.links import ArchiveLink, CopernicusBrowserLink, RunSummaryLink
from airflow_copernicus.observability.run_note import NOTE_KEY
from airflow_copernicus.operators import (
    CopernicusDownloadOperator,
    CopernicusPublishOperator,
    CopernicusSearchOperator,
)
from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.catalogue.search import Catalogue
from copernicus_dataspace.errors import (
    ConfigurationError,
    PermanentError,
    ServiceUnavailableError,
)
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


LAKE = "34.4,40.5,34.6,40.7"
KEY = SimpleNamespace(dag_id="lakes", run_id="manual__2024-08-03T00:00:00+00:00")


@pytest.mark.parametrize(
    ("params", "there", "place"),
    [
        ({"area": LAKE}, True, "lat=40.6&lng=34.5"),
        ({"area": LAKE}, False, "lat=40.6&lng=34.5"),
        ({"area": "179,-1,-179,1"}, False, "lat=0.0&lng=180.0"),
        ({"tiles": ["T36TXL"]}, True, "lat=41.04&lng=34.85"),
        ({"tiles": ["T36TXL"]}, False, None),
    ],
)
def test_a_search_leads_to_its_area_on_its_day(connected, output, params, there, place):
    if there:
        connected.add(lake_product())
    task = CopernicusSearchOperator(task_id="s", bands=["SCL_20m"], output_uri=output, **params)
    task.execute(make_context())
    link = CopernicusBrowserLink().get_link(task, ti_key=KEY)
    assert place in link if place else "lat=" not in link
    assert "datasetId=S2_L2A_CDAS&fromTime=2024-08-01T00" in link


def test_a_search_that_failed_leads_to_the_browser_itself(connected, output):
    task = CopernicusSearchOperator(task_id="s", tiles=["x"], bands=["SCL_20m"], output_uri=output)
    with pytest.raises(PermanentError):
        task.execute(make_context())
    link = CopernicusBrowserLink().get_link(task, ti_key=KEY)
    assert link == "https://browser.dataspace.copernicus.eu/"


def test_a_search_leads_to_the_summary_and_publish_to_the_archive(monkeypatch):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/airflow/")
    with DAG("lakes", schedule=None):
        other, search = (
            CopernicusSearchOperator(task_id=name, bands=["SCL_20m"]) for name in ("other", "find")
        )
        publish = CopernicusPublishOperator(task_id="tell", search_id="find")
    run = "https://example.org/airflow/dags/lakes/runs/manual__2024-08-03T00%3A00%3A00%2B00%3A00"
    assert RunSummaryLink().get_link(search, ti_key=KEY) == f"{run}/tasks/tell"
    assert RunSummaryLink().get_link(other, ti_key=KEY) == run
    archive = "https://example.org/airflow/copernicus/reports/lakes"
    assert ArchiveLink().get_link(publish, ti_key=KEY) == archive


@pytest.fixture
def lake(connected, output):
    """Run a search and publish over the lake; return the note, and the requests it took."""

    def run(**params):
        connected.requests.clear()
        context, asked = make_context(), {"area": LAKE, "bands": ["SCL_20m"], "output_uri": output}
        CopernicusSearchOperator(task_id="search", **{**asked, **params}).execute(context)
        queries = [one for one in connected.requests if one.service == "catalogue"]
        publish = CopernicusPublishOperator(task_id="p", search_id="search", output_uri=output)
        with contextlib.suppress(PermanentError):
            publish.execute(context)
        return context["ti"].pushed[NOTE_KEY]["text"], len(queries)

    return run


@pytest.mark.parametrize(
    ("params", "reasons"),
    [
        ({}, " · left out: 2 offline"),
        ({"max_cloud_cover": 20}, " · left out: 1 offline"),
        ({"max_cloud_cover": 5}, " · left out: 2 by the cloud limit"),
        ({"tiles": ["T36TYL"]}, " · left out: 2 on other tiles"),
        ({"tiles": ["T36TYL"], "max_cloud_cover": 5}, " · left out: 2 on other tiles"),
        ({"area": "3,40,4,41", "max_cloud_cover": 5}, ""),
        ({"area": "3,40,4,41"}, ""),
    ],
)
def test_an_empty_run_notes_what_was_left_out_for_one_more_request(
    connected, lake, params, reasons
):
    connected.add(lake_product(cloud_cover=10.0, online=False))
    connected.add(lake_product(cloud_cover=50.0, online=False, seed=2, baseline="05.00"))
    note, requests = lake(**{"versions": "all", **params})
    assert note == f"1 Aug 2024 · 0 products{reasons}"
    is_counted = "offline" not in reasons and {"tiles", "max_cloud_cover"} & {*params}
    assert requests == (2 if is_counted else 1)


def test_products_are_not_counted_where_some_match(connected, lake):
    connected.add(lake_product(cloud_cover=10.0))
    connected.add(lake_product(cloud_cover=50.0, sensed="2024-08-01T09:36:01.024Z"))
    note, requests = lake(max_cloud_cover=20)
    assert "0 of 1 products delivered" in note
    assert requests == 1


def test_a_catalogue_that_does_not_count_fails_no_run(connected, search, monkeypatch):
    def fail(*_args):
        raise ServiceUnavailableError("busy")

    monkeypatch.setattr(Catalogue, "filtered_out", fail)
    assert search(max_cloud_cover=5) == []
