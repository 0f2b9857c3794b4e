"""Which products a run is about: its days, its filters, and what it refuses."""

import json
import sys
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.operators import CopernicusDownloadOperator, CopernicusSearchOperator
from airflow_copernicus.runs.context import open_store
from copernicus_dataspace.errors import (
    BandError,
    ConfigurationError,
    ProductNotFoundError,
    QueryError,
)
from copernicus_dataspace_emulator import make_product
from tests.airflow_copernicus.conftest import lake_product, make_context


def test_filters_hold(connected, ingest):
    connected.add(lake_product())
    connected.add(lake_product(cloud_cover=20.1, seed=1, sensed="2024-08-01T08:40:01.024Z"))
    connected.add(lake_product(cloud_cover=None, seed=2, sensed="2024-08-01T08:41:01.024Z"))
    connected.add(lake_product(sensed="2024-07-31T23:59:59.999Z"))
    connected.add(lake_product(sensed="2024-08-02T00:00:00.000Z"))
    connected.add(lake_product(tile="36TYL"))
    connected.add(lake_product(level="L1C"))
    ran = ingest(max_cloud_cover=20)
    assert ran.summary["products"] == 1


def test_blank_lines_of_the_form_do_not_count(connected, ingest):
    connected.add(lake_product())
    ran = ingest(tiles=["T36TXL", ""], bands=["SCL_20m", " "], product_ids=[""])
    assert ran.errors == []
    assert len(ran.files) == 2


def test_area_selects_by_footprint(connected, ingest):
    connected.add(lake_product())
    assert ingest(tiles=[], area="lake").summary["products"] == 1
    far = ingest(make_context(run_id="far"), tiles=[], area="3,40,4,41")
    assert far.summary["products"] == 0


def test_offline_products_are_named_and_left_out(connected, ingest):
    product = connected.add(lake_product(online=False))
    ran = ingest()
    assert ran.errors == []
    assert ran.summary["offline"] == [product.name.removesuffix(".SAFE")]


def test_days_of_the_form_win_and_both_count(connected, ingest):
    for day in ("2024-07-30", "2024-07-31", "2024-08-01", "2024-08-02"):
        connected.add(lake_product(sensed=f"{day}T08:36:01.024Z"))
    context = make_context(run_type="manual", run_id="manual")
    ran = ingest(context, first_day="2024-07-30", last_day="2024-08-01")
    assert ran.partitions == ["2024-07-30", "2024-07-31", "2024-08-01"]
    assert ran.summary["delivered"] == 3


def test_one_day_alone_means_that_day(connected, ingest):
    connected.add(lake_product(sensed="2024-07-30T08:36:01.024Z"))
    ran = ingest(make_context(run_type="manual", run_id="manual"), last_day="2024-07-30")
    assert ran.partitions == ["2024-07-30"]
    assert ran.summary["delivered"] == 1


@pytest.mark.parametrize(
    ("logical_date", "day"),
    [
        (datetime(2024, 7, 5, 13, 30, tzinfo=UTC), "2024-07-04"),
        (datetime(2024, 7, 5, 0, 0, tzinfo=UTC), "2024-07-04"),
        (datetime(2024, 7, 5, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2024-07-03"),
    ],
)
def test_a_run_by_hand_takes_the_day_before(connected, ingest, logical_date, day):
    inferred = {  # as the command line does: from the present, whatever the logical date
        "data_interval_start": datetime(2024, 8, 2, tzinfo=UTC),
        "data_interval_end": datetime(2024, 8, 3, tzinfo=UTC),
        "logical_date": logical_date,
    }
    context = make_context(run_type="manual", run_id="manual", **inferred)
    assert ingest(context).partitions == [day]


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "asset_triggered"])
def test_an_interval_of_no_length_is_no_interval(connected, ingest, run_type):
    """As runs of DAGs with another schedule have it."""
    instant = datetime(2024, 7, 5, 5, tzinfo=UTC)
    dates = dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date"], instant)
    ran = ingest(make_context(run_type=run_type, run_id="own", **dates))
    assert ran.partitions == ["2024-07-04"]


def test_a_weekly_interval_gives_its_days(connected, ingest):
    dates = {"data_interval_end": datetime(2024, 8, 8, tzinfo=UTC)}
    assert len(ingest(make_context(**dates)).partitions) == 7


def test_a_run_without_any_date_takes_yesterday(connected, ingest):
    dates = dict.fromkeys(["data_interval_start", "data_interval_end", "logical_date"])
    ran = ingest(make_context(run_type="manual", run_id="manual", **dates))
    assert ran.partitions == ["2024-08-02"]


def test_products_are_fetched_by_name_whatever_the_filters_say(connected, ingest):
    product = connected.add(lake_product(cloud_cover=99.0, sensed="2024-05-05T08:36:01.024Z"))
    other = connected.add(lake_product(cloud_cover=99.0, sensed="2024-05-06T08:36:01.024Z"))
    ran = ingest(
        make_context(run_type="manual", run_id="chosen"),
        product_ids=[product.name.removesuffix(".SAFE"), other.id],
        max_cloud_cover=1,
        tiles=["T01CCV"],
    )
    assert ran.summary["delivered"] == 2
    assert ran.summary["days"] == ["2024-05-05", "2024-05-06"]
    assert ran.partitions == []


def test_an_unknown_product_is_named(connected, ingest):
    with pytest.raises(ProductNotFoundError, match="not listed: 00000000-0000"):
        ingest(product_ids=["00000000-0000-0000-0000-000000000000"])


@pytest.mark.parametrize(
    "params", [{"first_day": "2024-08-01"}, {"last_day": "2024-08-01"}, {"product_ids": ["S2A_x"]}]
)
def test_a_backfill_refuses_days_and_products(connected, ingest, params):
    with pytest.raises(QueryError, match="may not be set for a backfill"):
        ingest(make_context(run_type="backfill", run_id="backfill"), **params)


@pytest.mark.parametrize(
    ("params", "kind", "words"),
    [
        ({"bands": ["SLC_20m"]}, BandError, "SLC_20m"),
        ({"bands": []}, BandError, "list of names"),
        ({"first_day": "2024-08-02", "last_day": "2024-08-01"}, QueryError, "lies before"),
        ({"first_day": "1 August"}, QueryError, "YYYY-MM-DD"),
        ({"tiles": [], "area": None}, QueryError, "whole world"),
        ({"tiles": ["X"]}, QueryError, "MGRS"),
        ({"max_cloud_cover": 300}, QueryError, "percentage"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(connected, ingest, params, kind, words):
    with pytest.raises(kind, match=words):
        ingest(make_context(run_type="manual", run_id="manual"), **params)
    assert connected.requests == []


def test_many_products_share_batches(connected, tmp_path):
    for number in range(230):
        minute, second = divmod(number, 60)
        connected.add(
            make_product(
                tile="36TXL", sensed=f"2024-08-01T08:{minute:02}:{second:02}.000Z", content=False
            )
        )
    search = CopernicusSearchOperator(
        task_id="search", tiles=["36TXL"], bands=["SCL_20m"], output_uri=tmp_path.as_uri()
    )
    batches = search.execute(make_context())
    assert len(batches) == 10
    assert len(json.dumps(batches)) < 48_000
    labels = [batch["label"] for batch in batches]
    assert all(label.startswith("23 products from T36TXL 2024-08-01") for label in labels)


def test_an_offline_product_asked_for_is_missing_and_the_others_arrive(connected, ingest):
    product = connected.add(lake_product())
    offline = connected.add(lake_product(online=False, sensed="2024-08-03T08:36:01.024Z"))
    ran = ingest(make_context(run_type="manual"), product_ids=[product.id, offline.id])
    assert ran.summary["missing"] == [offline.name.removesuffix(".SAFE")]
    assert ran.summary["delivered"] == 1
    assert offline.name.removesuffix(".SAFE") in str(ran.errors[0])


@pytest.mark.parametrize("params", [{"overwrite": "False"}, {"keep_archive": "no"}])
def test_a_text_is_no_boolean(connected, ingest, params):
    connected.add(lake_product())
    with pytest.raises(ConfigurationError, match="expected true or false"):
        raise ingest(**params).errors[0]


def test_a_batch_must_be_mapped_over():
    operator = CopernicusDownloadOperator(task_id="t", batch=[{}], bands=["SCL_20m"])
    with pytest.raises(ConfigurationError, match="expand"):
        operator.execute(make_context())


@pytest.mark.parametrize(
    ("output_uri", "words"),
    [
        ("relative/folder", "not an absolute path"),
        ("~/data", "not an absolute path"),
        ("file:///proc/nowhere", "cannot be written"),
        ("s3://nowhere@bucket/x", "cannot be used .*nowhere"),
        ("gopher://x/y", "cannot be used"),
    ],
)
def test_an_output_that_cannot_be_used_is_red_at_once(connected, output_uri, words, monkeypatch):
    allowed = "file:///proc, s3://nowhere@bucket, gopher://x"
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", allowed)
    search = CopernicusSearchOperator(
        task_id="s", tiles=["T36TXL"], bands=["SCL_20m"], output_uri=output_uri
    )
    with pytest.raises(ConfigurationError, match=words):
        search.execute(make_context())
    assert connected.requests == []


def test_a_misspelt_param_of_a_run_is_refused(connected, ingest):
    context = make_context(run_type="manual", run_id="manual", conf={"frist_day": "2024-08-01"})
    context["dag"] = SimpleNamespace(params=PARAMS)
    with pytest.raises(
        QueryError,
        match=r"frist_day \(did you mean first_day\?\) in the run's configuration; params are",
    ):
        ingest(context)


def test_an_output_in_a_bucket_needs_the_provider_of_its_storage(monkeypatch):
    monkeypatch.setenv("SENTINEL2_OUTPUT_ROOTS", "s3://bucket")
    monkeypatch.setitem(sys.modules, "airflow.providers.amazon", None)
    command = r'pip install "airflow-provider-copernicus\[s3\]"'
    with pytest.raises(ConfigurationError, match=command):
        open_store("s3://bucket/sentinel2")
