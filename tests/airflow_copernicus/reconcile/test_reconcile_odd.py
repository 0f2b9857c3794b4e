"""What the audit must never do: lose what is still listed, or let one product stop the others."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_copernicus.operators import CopernicusAuditOperator
from copernicus_dataspace.errors import ProductNotFoundError, QueryError, ServiceUnavailableError
from copernicus_dataspace.models.time_range import utc_now
from copernicus_dataspace_emulator import Fault
from tests.airflow_copernicus.conftest import lake_product, make_context, scl_of
from tests.airflow_copernicus.reconcile.test_reconcile import (
    DAY,
    INGEST,
    Ingests,
    held,
    states,
    stem,
)

_OLD_DAY = DAY - timedelta(days=60)


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def _on(day, **changes):
    return lake_product(sensed=f"{day}T08:36:01.024Z", **changes)


def _newer(**changes):
    return lake_product(baseline="05.12", generation="2024-09-01T00:00:00Z", **changes)


def _by_hand(ingest, number=1, **asked):
    return ingest(make_context(run_id=f"manual__{number}", run_type="manual"), **asked)


def _relist(connected, product, *, online):
    connected._listed.remove(product.id)
    connected._offered(replace(product, facts=replace(product.facts, online=online)))


def _flip(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def _remembered(ingests):
    path = ingests.output / "reports" / INGEST / "chronicle.json"
    return json.loads(path.read_text()) if path.exists() else None


def _wanting(ingests, product):
    (item,) = ingests.output.glob(f"bands/*/*/*/*/{stem(product)}/item.json")
    return json.loads(item.read_text())["properties"]["dataspace:ingests"]


def _survey_again(connected, ingests):
    """Look at the whole archive a week later."""
    connected.now = f"{DAY + timedelta(days=8)}T00:00:00Z"
    return ingests.reconcile(DAY + timedelta(days=7))


def test_a_duplicate_that_is_deleted_does_not_take_its_twin_along(connected, ingest, ingests):
    twins = [
        connected.add(
            lake_product(
                sensed=f"{_OLD_DAY}T08:36:01.024Z",
                generation=f"{_OLD_DAY}T11:00:00Z",
                published=f"{_OLD_DAY}T1{hour}:00:00Z",
                seed=hour,
            )
        )
        for hour in (2, 3)
    ]
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{_OLD_DAY}"))
    ingests.reconcile()
    connected.now = f"{DAY + timedelta(days=3)}T00:00:00Z"
    connected.remove(twins[1].id, "Duplicated product")
    _survey_again(connected, ingests)
    assert held(ingests.output) == [stem(twins[0])]


def test_an_older_version_comes_back_where_the_newest_is_deleted(connected, ingest, ingests):
    sensed = f"{_OLD_DAY}T08:36:01.024Z"
    older = connected.add(lake_product(sensed=sensed, baseline="05.10"))
    newest = connected.add(lake_product(sensed=sensed))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{_OLD_DAY}"))
    ingests.reconcile()
    connected.now = f"{DAY + timedelta(days=3)}T00:00:00Z"
    connected.remove(newest.id, "Corrupted product")
    _survey_again(connected, ingests)
    assert held(ingests.output) == [stem(older)]


def test_one_product_that_vanished_does_not_keep_the_others_from_repair(connected, ingest, ingests):
    vanishing = connected.add(lake_product())
    other = connected.add(lake_product(sensed="2024-07-20T08:36:01.024Z"))
    audit = CopernicusAuditOperator(task_id="audit", ingest=ingests.registered()[INGEST])
    (repair,) = audit.execute(make_context(f"{DAY}", dag_id="sentinel2_reconcile"))
    connected.remove(vanishing.id)  # hours later, as today's work goes first
    run = make_context(
        run_id=repair["trigger_run_id"], run_type="operator_triggered", conf=repair["conf"]
    )
    try:
        ingest(run, **repair["conf"])
    except ProductNotFoundError as error:
        pytest.fail(f"the whole repair failed: {error}")
    assert held(ingests.output) == [stem(other)]


def test_the_weekly_look_does_without_the_list_of_deleted_products(connected, ingest, ingests):
    product = connected.add(_on(_OLD_DAY))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{_OLD_DAY}"))
    ingests.reconcile()
    connected.remove(product.id)
    late = connected.add(_on(_OLD_DAY + timedelta(days=1), published=f"{DAY}T00:00:00Z"))
    connected.faults.add(
        Fault(service="catalogue", status=400, times=None, match="DeletedProducts")
    )
    connected.now = f"{DAY + timedelta(days=8)}T00:00:00Z"
    settled = ingests.reconcile(DAY + timedelta(days=7))
    assert states(settled) == {stem(product): ("orphaned", "kept"), stem(late): ("late", "present")}
    assert "deleted products could not be read" in settled["report"]["notes"][0]


def test_damage_found_while_a_product_is_offline_stays_known(connected, ingest, ingests):
    product = connected.add(lake_product())
    ran = ingest()
    scl = ran.output / "bands" / ran.files[0]
    _flip(scl)
    _relist(connected, product, online=False)
    ingests.write(scrub_days=1)
    assert states(ingests.reconcile()) == {stem(product): ("offline", "missing")}
    ingests.write(scrub_days=0)
    for number in (1, 2):
        settled = ingests.reconcile(DAY + timedelta(days=number))
        assert settled["repairs"] == []
        assert states(settled) == {stem(product): ("offline", "missing")}
    _relist(connected, product, online=True)
    settled = ingests.reconcile(DAY + timedelta(days=3))
    assert states(settled) == {stem(product): ("damaged", "present")}
    assert scl.read_bytes() == product.read(scl_of(product))


@pytest.fixture
def twelve(connected, ingest):
    products = [connected.add(_on(DAY - timedelta(days=n), cloud_cover=50)) for n in range(12)]
    _by_hand(ingest, first_day=f"{DAY - timedelta(days=11)}", last_day=f"{DAY}")
    return products


def test_a_catalogue_that_suddenly_knows_nothing_is_not_believed(connected, ingests, twelve):
    ingests.reconcile()
    everything = {path: path.read_bytes() for path in ingests.output.rglob("*.json")}
    for product in twelve:
        connected._listed.remove(product.id)
    with pytest.raises(ServiceUnavailableError, match="12 of 12 held products are"):
        ingests.reconcile(first_day=f"{DAY - timedelta(days=29)}", last_day=f"{DAY}")
    assert {path: path.read_bytes() for path in ingests.output.rglob("*.json")} == everything


def test_a_changed_cloud_limit_is_no_fault_of_the_catalogue(ingests, twelve):
    ingests.write(max_cloud_cover=20)
    settled = ingests.reconcile()
    assert states(settled) == {stem(one): ("orphaned", "kept") for one in twelve}
    assert held(ingests.output) == sorted(map(stem, twelve))


def test_days_to_come_are_not_looked_at(connected, ingests):
    today = utc_now().date()
    ahead = f"{today + timedelta(days=2)}"
    with pytest.raises(QueryError, match=f"first_day {ahead} is in the future"):
        ingests.reconcile(first_day=ahead, last_day=ahead)
    settled = ingests.reconcile(first_day=f"{today - timedelta(days=1)}", last_day=ahead)
    assert settled["report"]["looked_at"] in (2, 3)  # midnight may pass
    assert settled["report"]["last_day"] < ahead


def test_a_switched_off_ingest_has_no_turn_of_the_rolling_looks(connected, ingest, ingests):
    connected.add(lake_product())
    ran = ingest()
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    old = connected.add(_on(_OLD_DAY))
    ingest(make_context(f"{_OLD_DAY}", run_id="scheduled__old"))
    _flip(ran.output / "bands" / ran.files[0])
    ingests.write(scrub_days=1)
    settled = ingests.reconcile(is_paused=True)
    assert settled["report"]["counts"] == {"present": 1}
    assert settled["report"]["looked_at"] == 30
    assert _remembered(ingests) is None
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"present": 1, "damaged": 1}
    assert stem(old) in held(ingests.output)
    remembered = _remembered(ingests)
    ingests.reconcile(DAY + timedelta(days=8), is_paused=True)
    assert _remembered(ingests) == remembered


def test_damage_on_days_outside_the_nightly_window_is_remembered(connected, ingest, ingests):
    tiles = ["T36TXL", "T36TYL"]
    ingests.write(tiles=tiles)
    connected.now = f"{_OLD_DAY + timedelta(days=1)}T00:00:00Z"
    old = connected.add(_on(_OLD_DAY))
    connected.add(_on(_OLD_DAY, tile="36TYL"))
    ran = ingest(make_context(f"{_OLD_DAY}", run_id="scheduled__old"), tiles=tiles)
    connected.now = f"{DAY + timedelta(days=8)}T00:00:00Z"
    whole = {"expected": 1, "present": 1, "why": {}}
    ingests.reconcile()
    assert _remembered(ingests)["days"][f"{_OLD_DAY}"] == dict.fromkeys(tiles, whole)
    _flip(next(ran.output / "bands" / name for name in ran.files if "T36TXL" in name))
    _relist(connected, old, online=False)
    ingests.write(tiles=tiles, scrub_days=1)
    settled = ingests.reconcile(DAY + timedelta(days=1))
    assert states(settled) == {stem(old): ("damaged", "missing")}
    damaged = {"expected": 1, "present": 0, "why": {"damaged": 1}}
    assert _remembered(ingests)["days"][f"{_OLD_DAY}"] == {tiles[0]: damaged, tiles[1]: whole}
    assert settled["report"]["completeness"]["365"] == 50.0


def test_a_range_by_hand_is_no_turn_of_the_rolling_looks(connected, ingest, ingests):
    connected.add(lake_product())
    ingest()
    ingests.reconcile()
    latest = ingests.output / "reports" / INGEST / "latest.json"
    remembered, reported = _remembered(ingests), latest.read_bytes()
    other = DAY + timedelta(days=9)
    missing = connected.add(_on(other))
    settled = ingests.reconcile(first_day=f"{other}", last_day=f"{other}", scrub=True)
    assert states(settled) == {stem(missing): ("missing", "present")}
    now = _remembered(ingests)
    assert (now["scrubbed"], now["survey"]) == (remembered["scrubbed"], remembered["survey"])
    assert now["days"] != remembered["days"]
    assert latest.read_bytes() == reported


def test_what_was_asked_for_by_its_id_is_never_taken_out_nor_reported(connected, ingest, ingests):
    product = connected.add(lake_product(tile="36TWL"))
    ids = [product.id]
    _by_hand(ingest, product_ids=ids, conf={"product_ids": ids})
    assert _wanting(ingests, product) == []
    assert ingests.reconcile()["report"]["counts"] == {}
    connected.remove(product.id)
    settled = ingests.reconcile(DAY + timedelta(days=1))
    assert (settled["report"]["counts"], settled["change"]) == ({}, None)
    assert held(ingests.output) == [stem(product)]


def test_what_was_asked_for_by_its_id_is_adopted_once_it_is_expected(connected, ingest, ingests):
    product = connected.add(lake_product(tile="36TWL"))
    _by_hand(ingest, product_ids=[product.id])
    ingests.write(tiles=["36TXL", "36TWL"])
    assert ingests.reconcile()["report"]["counts"] == {"present": 1}
    assert _wanting(ingests, product) == [INGEST]
    connected.remove(product.id)
    settled = ingests.reconcile(DAY + timedelta(days=1))
    assert states(settled) == {stem(product): ("withdrawn", "gone")}


def test_bands_by_hand_are_fetched_of_the_successor_before_the_old_one_goes(
    connected, ingest, ingests
):
    old = connected.add(lake_product())
    _by_hand(ingest, bands=["SCL_20m", "B04"])
    new = connected.add(_newer())
    ingest()
    assert held(ingests.output) == sorted([stem(old), stem(new)])
    connected.faults.add(Fault(service="download", status=403, times=None, match=new.id))
    assert states(ingests.reconcile())[stem(old)] == ("superseded", "kept")
    connected.faults.clear()
    settled = ingests.reconcile()
    assert [one["conf"]["bands"] for one in settled["repairs"]] == [["SCL_20m", "B04"]]
    assert states(settled) == {stem(new): ("missing", "present"), stem(old): ("superseded", "gone")}
    assert held(ingests.output) == [stem(new)]
    assert [*ingests.output.glob(f"bands/*/*/*/*/{stem(new)}/*_B04_10m.jp2")]


def test_an_ingest_whose_file_is_gone_holds_nothing_back(connected, ingest, ingests):
    old = connected.add(lake_product())
    other = ingests.write("other")
    ingest()
    ingests.reconcile(name="other")
    assert _wanting(ingests, old) == ["other", INGEST]
    other.unlink()
    new = connected.add(_newer())
    settled = ingests.reconcile()
    assert states(settled)[stem(old)] == ("superseded", "gone")
    assert held(ingests.output) == [stem(new)]


def test_what_an_ingest_left_that_is_gone_falls_to_the_one_that_has_its_successor(
    connected, ingest, ingests
):
    connected.add(lake_product())
    ingest(make_context(dag_id="gone"))
    new = connected.add(_newer())
    ingests.reconcile()
    assert held(ingests.output) == [stem(new)]


def test_a_gap_after_scheduled_runs_is_filled_however_long(connected, ingest, ingests):
    first = DAY - timedelta(days=101)
    before, gap = connected.add(_on(first)), connected.add(_on(DAY - timedelta(days=50)))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{first}"))
    settled = ingests.reconcile()
    assert settled["report"]["looked_at"] == 102
    assert held(ingests.output) == sorted([stem(before), stem(gap)])


def test_a_day_by_hand_is_looked_at_and_the_years_since_are_not(connected, ingest, ingests):
    by_hand = connected.add(_on("2020-05-01"))
    connected.add(_on("2022-05-01"))
    ran = _by_hand(ingest, first_day="2020-05-01")
    (ran.output / "bands" / ran.files[0]).unlink()
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    settled = ingests.reconcile()
    assert settled["report"]["looked_at"] == 31
    assert states(settled) == {stem(by_hand): ("absent", "present")}
    assert _survey_again(connected, ingests)["report"]["looked_at"] == 31
    assert held(ingests.output) == [stem(by_hand)]


def test_bytes_of_days_by_hand_are_read_though_their_turn_is_over(connected, ingest, ingests):
    product = connected.add(lake_product())
    ran = ingest()
    ingests.reconcile()
    scl = ran.output / "bands" / ran.files[0]
    right = scl.read_bytes()
    scl.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    settled = ingests.reconcile(first_day="2024-08-01", scrub=True)
    assert states(settled) == {stem(product): ("damaged", "present")}
    assert settled["report"]["scrubbed_bytes"] == len(right)
    assert scl.read_bytes() == right
