from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.local import LocalFileSystem

from copernicus_dataspace.errors import NotStagedError
from copernicus_dataspace.ingest.run_records import Attempt, Delivered, RunRecords
from copernicus_dataspace.ingest.run_summary import as_text, summarise
from copernicus_dataspace.models.product import Product
from copernicus_dataspace.storage.layout import RunLayout
from copernicus_dataspace.storage.store import Store

SEARCH = {
    "dag_id": "d",
    "run_id": "r",
    "days": ["2024-08-01", "2024-08-02"],
    "offline": [],
    "chosen": False,
    "requests": 1,
    "quota_bytes": 12e12,
}


def make(count):
    start = datetime(2024, 8, 1, tzinfo=UTC)
    return [
        Product(
            f"id{n}", f"S2A_{n:05}.SAFE", "S2MSI2A", start + timedelta(minutes=n), size_bytes=100
        )
        for n in range(count)
    ]


@pytest.fixture
def records(tmp_path):
    return RunRecords(Store(LocalFileSystem(), str(tmp_path)), RunLayout("d", "r/../x:y"), "search")


@pytest.mark.parametrize(
    ("count", "batches"),
    [(0, 0), (1, 1), (8, 8), (9, 8), (200, 8), (201, 9), (1024, 41), (5000, 200), (20_003, 200)],
)
def test_products_are_shared_out_evenly_and_none_is_lost(records, count, batches):
    products = make(count)
    keys = records.begin(SEARCH, products)
    assert len(keys) == batches
    shared = [records.products(key) for key in keys]
    assert [product for batch in shared for product in batch] == products
    assert records.all_products() == products
    sizes = {len(batch) for batch in shared}
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_a_new_search_forgets_the_old_one(records):
    (key,) = records.begin(SEARCH, make(1))
    records.add_attempt(key, Attempt(1, 2, 3.0, {}))
    records.add_delivered(key, {"x": Delivered(1, 2, "f")})
    records.clear()
    assert records.search() is None
    assert records.attempts() == []
    assert records.delivered() == {}
    assert records.all_products() == []


def test_deliveries_below_a_folder_that_is_no_utf8_are_remembered(records):
    delivered = {"x": Delivered(1, 2, "file:///\udcff/x")}
    records.add_delivered("0000", delivered)
    assert records.delivered() == delivered


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), "\udcff"])
def test_products_with_an_odd_footprint_are_staged(records, odd):
    (product,) = make(1)
    footprint = {"type": "Point", "coordinates": [odd, 1.0]}
    (key,) = records.begin(SEARCH, [replace(product, footprint=footprint)])
    (read,) = records.products(key)
    assert repr(read.footprint) == repr(footprint)


def test_a_missing_batch_is_explained(records):
    with pytest.raises(NotStagedError, match="does output_uri differ"):
        records.products("0007")


def test_every_try_counts(records):
    first, second = make(2)
    records.begin(SEARCH, [first, second])
    records.add_attempt("0000", Attempt(2, 50, 1.0, {first.stem: "reset"}))
    records.add_attempt("0000", Attempt(1, 30, 1.0, {}, retries=3, rate_limited=2))
    records.add_attempt("0001", Attempt(1, 20, 1.0, {second.stem: "HTTP 403"}))
    records.add_delivered("0000", {first.stem: Delivered(1, 30, "file:///x")})
    summary = summarise(SEARCH, [first, second], records.attempts(), records.delivered())
    summary["bytes_30_days"] = 7_000_000_000
    assert summary["requests"] == 5
    assert summary["bytes_transferred"] == 100
    assert (summary["retries"], summary["rate_limited"]) == (3, 2)
    assert summary["bytes_of_products"] == 200
    assert summary["missing"] == [second.stem]
    assert summary["complete_days"] == ["2024-08-02"]
    assert [row["error"] for row in summary["table"]] == [None, "HTTP 403"]
    text = as_text(summary)
    assert "Account usage of the last 30 days: 7.0 GB of 12,000.0 GB" in text
    assert "1 of 2 products delivered" in text
    assert "HTTP 403" in text
    assert "3 retries, 2 HTTP 429" in text


def test_an_empty_summary_says_so():
    text = as_text({**summarise(SEARCH, [], [], {}), "bytes_30_days": 0})
    assert "Nothing to do" in text
    assert "2024-08-01 to 2024-08-02" in text


def test_a_summary_names_what_was_left_out_and_the_text_not_too_many():
    rows = [
        {
            "name": f"S2A_{n:02}",
            "id": f"id{n}",
            "instead": "S2A_X",
            "reason": "older baseline 05.10",
        }
        for n in range(23)
    ]
    summary = {**summarise({**SEARCH, "left_out": rows}, [], [], {}), "bytes_30_days": 0}
    assert summary["left_out"] == rows
    text = as_text(summary)
    assert "23 left out: older baseline 05.10: S2A_00, for S2A_X; older" in text
    assert "S2A_19, for S2A_X; and 3 more.\n" in text
    few = as_text({**summary, "left_out": [{**rows[0], "instead": "S2A_00", "reason": "twice"}]})
    assert "1 left out: twice: S2A_00, id id0.\n" in few
