"""What kind a run is, is known by what Airflow and the reconcile say of it, never by its id."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from airflow_copernicus.operators import CopernicusAuditOperator
from airflow_copernicus.runs.context import REPAIR_KEY
from copernicus_dataspace.errors import ProductNotFoundError, QueryError
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import Ingests
from tests.support.airflow.registered import registered
from tests.support.runs.ingest_dag import IngestDag

DAY = date(2024, 8, 1)
OLD = DAY - timedelta(days=101)
ALL_DAYS, SINGLE_DAYS = 102, 31


@pytest.fixture
def files(tmp_path):
    """The folder of the ingest files."""
    (tmp_path / "ingests").mkdir()
    return tmp_path / "ingests"


@pytest.fixture
def lakes(connected, files, tmp_path):
    """An ingest with a product on an old day; the present is the end of the last day."""
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    connected.add(lake_product(sensed=f"{OLD}T08:36:01.024Z", published=f"{OLD}T12:00:00Z"))
    return IngestDag(files, tmp_path / "output")


@pytest.fixture
def looked_at(ingest, files, tmp_path):
    """Return how many days a weekly look at an ingest takes in."""
    nights = Ingests(files, tmp_path / "output", ingest)

    def look(name="sentinel2_daily"):
        return nights.reconcile(name=name)["report"]["looked_at"]

    return look


def items(ingest):
    return [json.loads(path.read_text()) for path in ingest.output.glob("bands/**/item.json")]


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered", "asset_triggered"])
@pytest.mark.parametrize("run_id", ["my run", "scheduled__2024-04-22", "backfill__x", "repair__x"])
def test_one_day_by_hand_is_one_day_whatever_its_run_is_called(lakes, looked_at, run_type, run_id):
    lakes.run({"first_day": f"{OLD}"}, run_type=run_type, run_id=run_id)
    assert len(items(lakes)) == 1
    assert looked_at() == SINGLE_DAYS


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
@pytest.mark.parametrize("run_id", ["a day", "manual__2024-04-22", "repair__2024-04-22"])
def test_all_days_since_a_scheduled_one_count_whatever_its_run_is_called(
    lakes, looked_at, run_type, run_id
):
    lakes.run(day=f"{OLD}", run_type=run_type, run_id=run_id)
    assert looked_at() == ALL_DAYS


@pytest.mark.parametrize("later", [{"overwrite": True}, {"bands": ["SCL_20m", "B04"]}])
def test_a_scheduled_day_stays_one_when_its_product_is_delivered_again(lakes, looked_at, later):
    lakes.run(day=f"{OLD}", run_type="scheduled", run_id="a day")
    lakes.run({"first_day": f"{OLD}", **later}, run_id="by hand")
    (item,) = items(lakes)
    assert item["properties"]["dataspace:run_id"] == "by hand"
    assert looked_at() == ALL_DAYS


def test_a_scheduled_day_stays_one_when_it_is_mended(lakes, looked_at):
    lakes.run(day=f"{OLD}", run_type="scheduled", run_id="a day")
    next(lakes.output.glob("bands/**/*.jp2")).unlink()
    audit = CopernicusAuditOperator(
        task_id="audit", ingest=registered(lakes.path), first_day=f"{OLD}", last_day=f"{OLD}"
    )
    (repair,) = audit.execute(make_context(f"{DAY}", dag_id="sentinel2_reconcile", run_id="n"))
    ran = lakes.run(repair["conf"], run_type="operator_triggered", run_id="mended")
    assert ran.summary["delivered"] == 1
    assert looked_at() == ALL_DAYS


def test_a_backfill_over_a_day_by_hand_makes_it_one_of_its_own(lakes, looked_at):
    lakes.run({"first_day": f"{OLD}"}, run_id="by hand")
    ran = lakes.run(day=f"{OLD}", run_type="backfill", run_id="years")
    assert ran.summary["bytes_transferred"] == 0
    assert looked_at() == ALL_DAYS


def test_a_backfill_that_takes_up_a_run_by_hand_gives_its_own_day(connected, lakes):
    day, before = date(2024, 7, 10), date(2024, 7, 9)
    for one in (before, day):
        connected.add(lake_product(sensed=f"{one}T08:36:01.024Z", published=f"{one}T12:00:00Z"))
    midnight = datetime(2024, 7, 10, tzinfo=UTC)
    by_hand = {"day": f"{before}", "run_id": "mine", "logical_date": midnight}
    assert lakes.run(**by_hand).summary["days"] == [f"{before}"]
    ran = lakes.run(**by_hand, run_type="backfill")  # Airflow changes no more than the type
    assert ran.announced.keys() == {f"{day}"}
    assert ran.summary["delivered"] == 1


def test_what_another_ingest_has_scheduled_is_no_schedule_of_this_one(lakes, looked_at, files):
    lakes.run(day=f"{OLD}", run_type="scheduled", run_id="a day")
    other = IngestDag(files, lakes.output, "other")
    other.run({"first_day": f"{OLD}"}, run_id="by hand")
    (item,) = items(lakes)
    assert item["properties"]["dataspace:ingests"] == ["other", "sentinel2_daily"]
    assert looked_at("other") == SINGLE_DAYS
    assert looked_at() == ALL_DAYS


def test_items_of_older_versions_are_single_days(lakes, looked_at):
    lakes.run(day=f"{OLD}", run_type="scheduled", run_id="a day")
    (path,) = lakes.output.glob("bands/**/item.json")
    item = json.loads(path.read_text())
    del item["properties"]["dataspace:scheduled"]
    path.write_text(json.dumps(item))
    assert looked_at() == SINGLE_DAYS
    lakes.run(day=f"{OLD}", run_type="backfill", run_id="years")
    assert json.loads(path.read_text())["properties"]["dataspace:scheduled"] == ["sentinel2_daily"]


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered"])
def test_a_run_called_repair_is_no_repair(connected, lakes, run_type):
    product = connected.add(lake_product())
    gone = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(ProductNotFoundError):
        lakes.run({"product_ids": [product.id, gone]}, run_type=run_type, run_id="repair__1")
    lakes.run({"product_ids": [product.id]}, run_type=run_type, run_id="repair__2")
    (item,) = items(lakes)
    assert item["properties"]["dataspace:ingests"] == []


def test_only_a_run_that_another_dag_triggers_may_be_a_repair(connected, lakes):
    product = connected.add(lake_product())
    conf = {"product_ids": [product.id], REPAIR_KEY: {}}
    with pytest.raises(QueryError, match=f"unknown param {REPAIR_KEY}"):
        lakes.run(conf)
    lakes.run(conf, run_type="operator_triggered", run_id="mended")
    (item,) = items(lakes)
    assert item["properties"]["dataspace:ingests"] == ["sentinel2_daily"]


@pytest.mark.parametrize("given", ["yes", True, ["2024-08-01"], {"2024-08-01": 1}, {"today": []}])
def test_a_repair_that_names_no_days_is_refused(connected, lakes, given):
    conf = {"product_ids": ["x"], REPAIR_KEY: given}
    with pytest.raises(QueryError):
        lakes.run(conf, run_type="operator_triggered")
    assert connected.requests == []


def test_what_airflow_adds_to_a_triggered_runs_configuration_is_no_misspelt_param(connected, lakes):
    product = connected.add(lake_product())
    conf = {"product_ids": [product.id], "openlineage": {"parentRunId": "x"}, REPAIR_KEY: {}}
    assert lakes.run(conf, run_type="operator_triggered").summary["delivered"] == 1
