"""Odd rows of the catalogue in a run and in the nightly audit: red at the end, the rest arrives."""

import math

import pytest

from airflow_copernicus.dags.ingest import all_delivered
from airflow_copernicus.dags.reconcile import all_present
from airflow_copernicus.runs.context import REPAIR_KEY
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import Ingests, held, stem
from tests.support.products.odd_rows import UNKNOWN, UNUSABLE, changed

SAMPLE = ("name empty", "name goes up", "name of Zarr", "id a list", "length N/A", "start null")


@pytest.fixture
def offered(connected):
    """Three products over the lake, by day: two of 1 August and one of 2 August."""
    return [
        connected.add(lake_product(sensed=f"2024-08-0{day}T08:36:01.024Z", **facts))
        for day, facts in ((1, {}), (1, {"platform": "B"}), (2, {}))
    ]


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def make_odd(emulator, product, case):
    emulator.rewrite(product.id, lambda row: changed(row, **UNUSABLE[case]))


@pytest.mark.parametrize("case", SAMPLE)
def test_the_others_arrive_and_the_run_is_red_at_its_end(connected, offered, ingest, case):
    make_odd(connected, offered[1], case)
    context = make_context(run_id="manual__x", run_type="manual")
    ran = ingest(context, first_day="2024-08-01", last_day="2024-08-02")
    assert ran.summary["delivered"] == ran.summary["products"] == 2
    (odd,) = ran.summary["unusable"]
    assert odd["why"]
    assert ran.summary["missing"] == [odd["label"]]
    if not case.startswith("name"):
        assert odd["label"] == offered[1].name
    text = next(ran.output.glob("runs/*/manual__x/summary.txt")).read_text()
    assert f"Unusable row: {odd['label']}: {odd['why']}." in text
    if case.startswith("start"):  # it may be of either day, so that none is complete
        (error,) = ran.errors
        assert f"1 products are missing: {odd['label']}" in str(error)
        assert ran.partitions == []
        return
    assert ran.errors == []
    assert ran.partitions == ["2024-08-02"]
    with pytest.raises(Exception, match="missing: "):
        all_delivered.function(ran.published)


@pytest.mark.parametrize("case", ["footprint deep", "checksum texts", "published garbage"])
def test_a_product_of_which_a_fact_is_unknown_arrives(connected, offered, ingest, case):
    connected.rewrite(offered[1].id, lambda row: changed(row, **UNKNOWN[case][0]))
    ran = ingest()
    assert ran.errors == []
    assert ran.summary["delivered"] == 2
    assert ran.summary["unusable"] == []
    assert ran.partitions == ["2024-08-01"]


def test_a_day_of_which_nothing_can_be_used_is_red_and_not_empty(connected, offered, ingest):
    for product in offered:
        make_odd(connected, product, "length N/A")
    ran = ingest()
    (error,) = ran.errors
    assert "2 products are missing" in str(error)
    assert ran.partitions == []
    assert ran.summary["complete_days"] == []


def test_a_count_that_cannot_be_read_is_red_at_the_end(connected, offered, ingest):
    patch = {"@odata.count": math.inf}
    connected.faults.add(Fault("catalogue", "patched_page", patch=patch, times=None))
    ran = ingest()
    assert ran.summary["delivered"] == 2
    (error,) = ran.errors
    assert "@odata.count" in str(error)
    assert ran.partitions == []


def test_a_product_asked_for_by_its_id_is_named(connected, offered, ingest):
    make_odd(connected, offered[1], "id a list")
    ran = ingest(product_ids=[product.id for product in offered])
    assert ran.summary["delivered"] == 2
    (error,) = ran.errors
    assert f"1 products are missing: {offered[1].name}" in str(error)
    assert ran.partitions == []


@pytest.mark.parametrize("case", SAMPLE)
def test_the_audit_goes_on_and_is_red_at_its_end(connected, offered, ingests, case):
    make_odd(connected, offered[1], case)
    settled = ingests.reconcile()
    assert held(ingests.output) == [stem(offered[0])]  # of the day that it looks at
    assert [one["conf"][REPAIR_KEY] for one in settled["repairs"]] == [{}]  # announces no day
    (note,) = settled["report"]["notes"]
    assert note.startswith("unusable row of the catalogue: ")
    assert len(settled["missing"]) == 1
    with pytest.raises(Exception, match="1 products are missing"):
        all_present.function(settled)


@pytest.mark.parametrize("case", ["length N/A", "start null", "id a list", "upper-case id"])
def test_what_stands_stays_though_its_row_has_become_odd(connected, offered, ingest, ingests, case):
    ingest()
    upper = {"Id": offered[1].id.upper(), "ContentLength": "N/A"}
    changes = UNUSABLE.get(case, upper)
    connected.rewrite(offered[1].id, lambda row: changed(row, **changes))
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"present": 2}
    assert held(ingests.output) == sorted(map(stem, offered[:2]))
    assert len(settled["missing"]) == 1


def test_an_odd_row_of_the_deleted_products_is_a_note(connected, offered, ingest, ingests):
    ingest()
    for product in offered[:2]:
        connected.remove(product.id)
    make_odd(connected, offered[1], "id a list")
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"withdrawn": 1, "orphaned": 1}
    (note,) = settled["report"]["notes"]
    assert note.startswith("unusable row in the list of deleted products: ")
    assert stem(offered[1]) in held(ingests.output)
    assert settled["missing"] == []
