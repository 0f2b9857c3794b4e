"""No run is about days on which nothing can have been sensed, wherever these are written."""

import json
from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from airflow.timetables.base import TimeRestriction

from airflow_copernicus.hooks.copernicus import CopernicusHook
from airflow_copernicus.operators import CopernicusAuditOperator, CopernicusSettleOperator
from airflow_copernicus.runs import complete_days
from airflow_copernicus.runs.context import REPAIR_KEY
from airflow_copernicus.timetables import SensingDayTimetable
from copernicus_dataspace.catalogue.query import MISSION
from copernicus_dataspace.errors import NotStagedError, QueryError
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support.airflow.registered import registered
from tests.support.runs.ingest_dag import IngestDag

TYPED = ["0024-06-10", "0001-01-01", "1924-08-01", "2015-06-22"]
BEFORE = "lies before the mission: Sentinel-2A was launched on 2015-06-23"
LAUNCH = MISSION.start.date()


@pytest.fixture
def lakes(connected, tmp_path):
    return IngestDag(tmp_path, tmp_path / "output")


@pytest.fixture
def audit(lakes):
    def run(context=None, **days):
        task = CopernicusAuditOperator(task_id="audit", ingest=registered(lakes.path), **days)
        return task.execute(context or make_context(dag_id="sentinel2_reconcile", run_id="night"))

    return run


@pytest.mark.parametrize("day", TYPED)
@pytest.mark.parametrize(
    "asked", [("first_day",), ("last_day",), ("first_day", "last_day")], ids="-".join
)
def test_a_run_by_hand_has_no_day_before_the_mission(connected, lakes, day, asked):
    with pytest.raises(QueryError, match=f"the day {day} {BEFORE}"):
        lakes.run(dict.fromkeys(asked, day))
    assert connected.requests == []


def test_a_mistyped_first_day_makes_no_long_run(connected, lakes, audit):
    days = {"first_day": "0024-06-10", "last_day": "2024-06-12"}
    for refused in (
        lambda: lakes.run(days),
        lambda: audit(**days),
        lambda: CopernicusHook().search_frame(tiles=["T36TXL"], **days),
    ):
        with pytest.raises(QueryError, match=BEFORE):
            refused()
    assert connected.requests == []


def test_a_day_long_after_today_is_refused(lakes):
    with pytest.raises(QueryError, match="2204-08-01 has not ended"):
        lakes.run({"first_day": "2024-08-01", "last_day": "2204-08-01"})


def test_the_first_day_of_the_mission_is_one_of_it(connected, lakes):
    ran = lakes.run({"first_day": f"{LAUNCH}"})
    assert ran.announced.keys() == {f"{LAUNCH}"}


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill"])
def test_a_runs_own_day_before_the_mission_is_refused(lakes, run_type):
    day = datetime(24, 6, 10, tzinfo=UTC)
    dates = {
        "logical_date": day,
        "data_interval_start": day,
        "data_interval_end": day + timedelta(days=1),
    }
    with pytest.raises(QueryError, match=BEFORE):
        lakes.run(run_type=run_type, **dates)


def test_a_repair_of_a_day_before_the_mission_is_refused(connected, lakes):
    product = connected.add(lake_product())
    conf = {"product_ids": [product.id], REPAIR_KEY: {"0024-08-01": [product.id]}}
    with pytest.raises(QueryError, match=BEFORE):
        lakes.run(conf, run_type="operator_triggered")


def test_a_backfill_makes_no_run_of_days_before_the_mission():
    timetable = SensingDayTimetable(publication_delay=timedelta(days=1))
    asked = TimeRestriction(
        pendulum.datetime(24, 6, 10), pendulum.instance(MISSION.start + timedelta(days=1)), True
    )
    first = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=asked)
    assert first.data_interval.start == MISSION.start
    asked = asked._replace(latest=pendulum.datetime(24, 6, 12))
    none = timetable.next_dagrun_info(last_automated_data_interval=None, restriction=asked)
    assert none is None


@pytest.mark.parametrize("name", ["days", "first", "last"])
def test_a_plan_of_days_before_the_mission_is_damaged(connected, lakes, audit, tmp_path, name):
    connected.add(lake_product())
    context = make_context(dag_id="sentinel2_reconcile", run_id="night")
    audit(context)
    (path,) = (tmp_path / "output").rglob("plan.json")
    plan = json.loads(path.read_text())
    path.write_text(json.dumps({**plan, name: ["0024-08-01"] if name == "days" else "0024-08-01"}))
    settle = CopernicusSettleOperator(task_id="settle", ingest=registered(lakes.path))
    with pytest.raises(NotStagedError, match="or damaged"):
        settle.execute(context)


def test_one_run_announces_no_more_days_than_a_bound(connected, lakes, monkeypatch):
    monkeypatch.setattr(complete_days, "MAX_ANNOUNCED_DAYS", 2)
    ran = lakes.run({"first_day": "2024-07-28", "last_day": "2024-08-01"})
    assert ran.errors == []
    assert ran.announced.keys() == {"2024-07-28", "2024-07-29"}
    assert ran.summary["complete_days"] == ["2024-07-28", "2024-07-29"]
    (why,) = ran.summary["not_complete"]
    assert "a run announces at most 2 days: 3 complete days from 2024-07-30 to 2024-08-01" in why


def test_all_of_the_mission_is_one_run_that_announces_a_bounded_number(connected, lakes):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    ran = lakes.run({"first_day": f"{LAUNCH}", "last_day": f"{yesterday}"})
    assert len(ran.announced) == complete_days.MAX_ANNOUNCED_DAYS < (yesterday - LAUNCH).days
