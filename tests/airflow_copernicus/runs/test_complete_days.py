"""A day is announced as complete only where that is true, for the ingest's own settings."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from airflow_copernicus.config.params import PARAMS
from airflow_copernicus.operators import CopernicusAuditOperator
from airflow_copernicus.runs import complete_days
from airflow_copernicus.runs import context as runs
from copernicus_dataspace.errors import PermanentError, QueryError
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.support.airflow.registered import registered
from tests.support.runs.ingest_dag import DagRan, IngestDag

DAY = "2024-08-01"
AREA = "34,44,35.5,45.5"


@pytest.fixture
def lakes(connected, tmp_path):
    """Return what writes an ingest file; 20 percent of cloud at most, unless said."""

    def write(**settings):
        return IngestDag(tmp_path, tmp_path / "output", **{"max_cloud_cover": 20, **settings})

    return write


def repairs(ingest, day=DAY):
    audit = CopernicusAuditOperator(task_id="audit", ingest=registered(ingest.path))
    context = make_context(day, dag_id="sentinel2_reconcile", run_id="a night")
    return [one["conf"] for one in audit.execute(context)]


def mend(ingest, conf, number=0):
    return ingest.run(conf, run_type="operator_triggered", run_id=f"mended {number}")


def test_a_run_with_the_ingests_own_settings_announces_its_day(connected, lakes):
    connected.add(lake_product())
    ran = lakes().run({"first_day": DAY})
    assert ran.errors == []
    assert ran.announced.keys() == {DAY}
    assert ran.announced[DAY]["products"] == {DAY: 1}
    assert ran.announced[DAY]["summary"].endswith("/summary.json")
    assert (ran.summary["complete_days"], ran.summary["not_complete"]) == ([DAY], [])


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
@pytest.mark.parametrize(
    ("conf", "settings"),
    [
        ({"area": AREA}, {"area": "lake", "tiles": []}),
        ({"area": AREA}, {"area": None}),
        ({"area": None, "tiles": ["T36TXL"]}, {"area": "lake", "tiles": []}),
        ({"tiles": ["T36TYL"]}, {}),
        ({"tiles": ["T36TXL"]}, {"tiles": ["T36TXL", "T36TYL"]}),
        ({"product_type": "S2MSI1C"}, {"bands": ["B04"]}),
        ({"max_cloud_cover": 5}, {}),
        ({"max_cloud_cover": 0}, {"max_cloud_cover": None}),
        ({"versions": "latest"}, {"versions": "all"}),
        ({"bands": ["B04"]}, {}),
        ({"bands": ["SCL_20m"]}, {"bands": ["SCL_20m", "B04"]}),
        ({"output_uri": "elsewhere"}, {}),
    ],
)
def test_a_run_with_other_settings_announces_nothing(
    connected, lakes, tmp_path, conf, settings, run_type
):
    connected.add(lake_product())
    if "output_uri" in conf:
        conf = {"output_uri": (tmp_path / conf["output_uri"]).as_uri()}
    ran = lakes(**settings).run(conf, run_type=run_type)
    assert ran.errors == []
    assert ran.announced == {}
    assert ran.summary["complete_days"] == []
    (reason,) = ran.summary["not_complete"]
    assert "No day is announced as complete: the run has other settings" in reason
    assert all(name in reason for name in conf)


def test_what_the_form_sends_for_unchanged_fields_changes_nothing(connected, lakes):
    connected.add(lake_product())
    ingest = lakes(area="lake", bands=["SCL_20m", "B04"])
    form = {
        **{name: param["default"] for name, param in PARAMS.items()},
        "first_day": DAY,
        "area": " lake\n",
        "tiles": ["T36TXL", ""],
        "bands": ["B04", "SCL_20m", ""],
        "max_cloud_cover": 20.0,
        "product_ids": None,
        "output_uri": f"{ingest.output.as_uri()}/",
    }
    assert ingest.run(form).announced.keys() == {DAY}


@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_a_blank_area_is_none(connected, lakes, blank):
    connected.add(lake_product())
    assert lakes().run({"area": blank}).announced.keys() == {DAY}
    with pytest.raises(QueryError, match="neither area nor tiles"):
        lakes().run({"area": blank, "tiles": ["", " "]}, run_id="nowhere")


def test_a_run_may_ask_for_more_bands(connected, lakes):
    connected.add(lake_product())
    ran = lakes().run({"bands": ["SCL_20m", "B04"]})
    assert ran.announced.keys() == {DAY}


def test_single_products_complete_no_day(connected, lakes):
    product = connected.add(lake_product())
    ran = lakes().run({"product_ids": [product.id]})
    assert (ran.errors, ran.announced) == ([], {})
    assert "selected single products" in ran.summary["not_complete"][0]


def test_each_day_has_its_own_number_of_products(connected, lakes):
    for hour in (8, 9):
        connected.add(lake_product(sensed=f"2024-08-01T{hour:02}:36:01.024Z"))
    connected.add(lake_product(sensed="2024-08-03T08:36:01.024Z"))
    days = {"2024-08-01": 2, "2024-08-02": 0, "2024-08-03": 1}
    ran = lakes().run({"first_day": "2024-08-01", "last_day": "2024-08-03"})
    assert ran.announced.keys() == days.keys()
    assert all(extra["products"] == days for extra in ran.announced.values())


def test_events_of_very_many_days_stay_small(connected, lakes, monkeypatch):
    monkeypatch.setattr(complete_days, "MAX_COUNTED_DAYS", 2)
    ran = lakes().run({"first_day": "2024-08-01", "last_day": "2024-08-03"})
    assert [extra["products"] for extra in ran.announced.values()] == [{}] * 3


def test_an_offline_product_keeps_its_day_from_being_announced(connected, lakes):
    connected.add(lake_product(online=False))
    connected.add(lake_product(sensed="2024-08-02T08:36:01.024Z"))
    ran = lakes().run({"first_day": "2024-08-01", "last_day": "2024-08-02"})
    assert ran.errors == []
    assert ran.announced.keys() == {"2024-08-02"}
    assert ran.summary["not_complete"] == [
        "Not announced as complete, because products are offline: 2024-08-01."
    ]
    assert lakes().run(run_id="alone").announced == {}


def test_a_zip_that_the_ingest_keeps_belongs_to_its_day(connected, lakes):
    connected.add(lake_product())
    ingest = lakes(transfer="archive", keep_archive=True)
    assert ingest.run({"keep_archive": False}).announced == {}
    assert ingest.run(run_id="another").announced.keys() == {DAY}


def test_settings_that_change_during_a_run_are_not_announced_for(connected, lakes):
    connected.add(lake_product())
    ingest, ran = lakes(), DagRan()
    context = ingest.context(run_type="scheduled")
    ingest.fetch(context, ran)
    ingest.write(max_cloud_cover=50)
    ingest.publish(context, ran)
    assert (ran.errors, ran.announced) == ([], {})


def test_what_no_longer_stands_is_not_announced(connected, lakes):
    connected.add(lake_product())
    ingest, ran = lakes(), DagRan()
    context = ingest.context(run_type="scheduled")
    ingest.fetch(context, ran)
    next(ingest.output.glob("bands/**/*.jp2")).unlink()
    ingest.publish(context, ran)
    assert (ran.errors, ran.announced) == ([], {})
    assert "files are missing: 2024-08-01" in ran.summary["not_complete"][0]


def test_a_search_that_has_not_noted_what_it_asked_for_announces_nothing(connected, lakes):
    connected.add(lake_product())
    ingest, ran = lakes(), DagRan()
    context = ingest.context({"first_day": DAY, "area": AREA})
    ingest.fetch(context, ran)
    (path,) = ingest.output.glob("runs/**/search/search.json")
    noted = json.loads(path.read_text())
    path.write_text(json.dumps({name: noted[name] for name in noted.keys() - {"asked"}}))
    ingest.publish(context, ran)
    assert (ran.errors, ran.announced) == ([], {})
    assert "the search was made by an older version" in ran.summary["not_complete"][0]


def test_each_day_that_is_not_announced_is_named_once_with_its_cause(connected, lakes):
    odd, _, bad = (
        connected.add(lake_product(sensed=f"2024-08-0{day}T08:36:01.024Z", **facts))
        for day, facts in ((1, {}), (2, {"online": False}), (3, {}))
    )
    connected.rewrite(odd.id, lambda row: {**row, "ContentLength": "N/A"})
    connected.faults.add(Fault("download", status=404, times=None, match=bad.id))
    ran = lakes().run({"first_day": "2024-08-01", "last_day": "2024-08-04"})
    assert ran.announced.keys() == {"2024-08-04"}
    assert ran.summary["not_complete"] == [
        "Not announced as complete, because products are offline: 2024-08-02.",
        "Not announced as complete, because rows of the catalogue are invalid: 2024-08-01.",
        "Not announced as complete, because files are missing: 2024-08-03.",
    ]


def test_a_repair_says_why_it_announces_nothing(connected, lakes):
    connected.add(lake_product())
    odd = connected.add(lake_product(sensed="2024-08-01T09:36:01.024Z"))
    connected.rewrite(odd.id, lambda row: {**row, "ContentLength": "N/A"})
    ingest = lakes()
    (conf,) = repairs(ingest)
    ran = mend(ingest, conf)
    assert (ran.errors, ran.announced, ran.summary["delivered"]) == ([], {}, 1)
    assert ran.summary["not_complete"] == [
        "Not announced as complete, because other missing products are unknown: 2024-08-01."
    ]


def now(text):
    return lambda: datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"first_day": "2024-08-02"}, r"2024-08-02 has not ended yet \(now: 2024-08-02 23:59"),
        ({"last_day": "2024-08-03"}, "2024-08-03 has not ended"),
        ({"first_day": "2024-07-30", "last_day": "2024-08-02"}, "2024-08-02 has not ended"),
        ({"first_day": "2199-01-01"}, "last_day up to 2024-08-01, or leave both empty"),
        ({"first_day": "2024-08-01", "last_day": "9999-12-30"}, "9999-12-30 has not ended"),
        ({"first_day": "2024-08-01", "last_day": "9999-12-31"}, r"\(last_day\): 9999-12-31"),
    ],
)
def test_days_that_have_not_ended_are_refused(connected, lakes, monkeypatch, asked, words):
    monkeypatch.setattr(runs, "utc_now", now("2024-08-02T23:59:59"))
    with pytest.raises(QueryError, match=words):
        lakes().run(asked)
    assert connected.requests == []


def test_a_day_may_be_asked_for_as_soon_as_it_has_ended(connected, lakes, monkeypatch):
    monkeypatch.setattr(runs, "utc_now", now("2024-08-02T00:00:00"))
    assert lakes().run({"first_day": DAY}).announced.keys() == {DAY}


def test_a_logical_date_of_today_means_yesterday_and_a_later_one_is_refused(
    connected, lakes, monkeypatch
):
    monkeypatch.setattr(runs, "utc_now", now("2024-08-02T09:00:00"))
    today = datetime(2024, 8, 2, 9, tzinfo=UTC)
    assert lakes().run(logical_date=today).announced.keys() == {DAY}
    with pytest.raises(QueryError, match="2024-08-02 has not ended"):
        lakes().run(logical_date=today + timedelta(days=1), run_id="ahead")


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered", "asset_triggered"])
def test_a_run_made_by_a_host_whose_clock_is_ahead_is_not_refused(
    connected, lakes, monkeypatch, run_type
):
    made = {"run_type": run_type, "logical_date": None}
    made["run_after"] = datetime(2024, 8, 2, 0, 0, 5, tzinfo=UTC)
    monkeypatch.setattr(runs, "utc_now", now("2024-08-01T23:58:00"))
    assert lakes().run(**made).announced.keys() == {DAY}
    with pytest.raises(QueryError, match="2024-08-01 has not ended"):
        lakes().run({"first_day": DAY}, run_id="chosen", **made)
    monkeypatch.setattr(runs, "utc_now", now("2024-08-01T23:50:00"))
    with pytest.raises(QueryError, match="2024-08-01 has not ended"):
        lakes().run(run_id="far ahead", **made)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_intervals_of_the_timetable_have_ended_but_for_the_clocks(
    connected, lakes, monkeypatch, run_type
):
    monkeypatch.setattr(runs, "utc_now", now("2024-08-01T23:59:00"))
    assert lakes().run(run_type=run_type).announced.keys() == {DAY}
    with pytest.raises(QueryError, match="2024-08-02 has not ended"):
        lakes().run(run_type=run_type, day="2024-08-02", run_id="ahead")


def test_a_repair_announces_the_day_that_it_completes(connected, lakes):
    first = connected.add(lake_product())
    ingest = lakes()
    second = connected.add(lake_product(sensed="2024-08-01T09:36:01.024Z"))
    connected.faults.add(Fault("download", status=404, times=None, match=second.id))
    ran = ingest.run(run_type="scheduled")
    assert isinstance(ran.errors[-1], PermanentError)
    connected.faults.clear()
    (conf,) = repairs(ingest)
    assert conf["product_ids"] == [second.id]
    assert first.id not in str(conf)
    ran = mend(ingest, conf)
    assert ran.errors == []
    assert ran.announced.keys() == {DAY}
    assert ran.announced[DAY]["products"] == {DAY: 1}


def test_a_repair_after_which_a_day_still_lacks_something_announces_others_only(connected, lakes):
    connected.add(lake_product())
    connected.add(lake_product(sensed="2024-08-01T09:36:01.024Z", online=False))
    connected.add(lake_product(sensed="2024-07-30T08:36:01.024Z"))
    vanishing = connected.add(lake_product(sensed="2024-07-31T08:36:01.024Z"))
    connected.add(lake_product(sensed="2024-07-31T09:36:01.024Z"))
    ingest = lakes()
    (conf,) = repairs(ingest)
    connected.remove(vanishing.id)
    ran = mend(ingest, conf)
    assert ran.errors == []
    assert ran.summary["delivered"] == 3
    assert ran.announced.keys() == {"2024-07-30"}


def test_of_repairs_that_share_a_day_the_last_one_announces_it(connected, lakes):
    product = connected.add(lake_product())
    ingest = lakes()
    ingest.run({"bands": ["SCL_20m", "B04"]})
    for path in ingest.output.glob(f"bands/**/{product.name.removesuffix('.SAFE')}/*.jp2"):
        path.unlink()
    connected.add(lake_product(sensed="2024-08-01T09:36:01.024Z"))
    confs = repairs(ingest)
    assert len(confs) == 2
    told = [mend(ingest, conf, number).announced for number, conf in enumerate(confs)]
    assert [announced.keys() for announced in told] == [set(), {DAY}]


def test_a_repair_with_other_settings_announces_nothing(connected, lakes):
    connected.add(lake_product())
    ingest = lakes()
    (conf,) = repairs(ingest)
    ingest.write(max_cloud_cover=20, bands=["B04"])
    assert mend(ingest, {**conf, "bands": ["SCL_20m"]}).announced == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"max_cloud_cover": 50},
        {"max_cloud_cover": None},
        {"tiles": ["T36TXL", "T36TYL"]},
        {"tiles": [], "area": "lake"},
        {"versions": "all"},
        {"bands": ["SCL_20m", "B04"]},
    ],
)
def test_what_was_audited_for_other_settings_is_not_announced(connected, lakes, changed):
    connected.add(lake_product())
    ingest = lakes()
    ingest.run(run_type="scheduled")
    connected.add(lake_product(sensed="2024-08-01T09:36:01.024Z"))
    (conf,) = repairs(ingest)
    ingest.write(**{"max_cloud_cover": 20, **changed})
    ran = mend(ingest, conf)
    assert ran.summary["delivered"] == 1
    assert (ran.errors, ran.announced) == ([], {})


def test_a_repair_of_a_day_that_has_not_ended_announces_nothing(connected, lakes):
    ingest, today = lakes(), datetime.now(UTC).date()
    sensed = f"{today}T00:00:01.024Z"
    connected.now = f"{today}T01:00:00Z"
    connected.add(lake_product(sensed=sensed, published=f"{today}T00:30:00Z"))
    asked = {"first_day": f"{today}"}
    audit = CopernicusAuditOperator(task_id="audit", ingest=registered(ingest.path), **asked)
    (repair,) = audit.execute(make_context(run_type="manual", dag_id="sentinel2_reconcile"))
    ran = mend(ingest, repair["conf"])
    assert ran.summary["delivered"] == 1
    assert ran.announced == {}
