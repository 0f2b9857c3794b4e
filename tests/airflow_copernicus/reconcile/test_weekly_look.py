"""The weekly look at the whole archive: what was lost with its item is found, by few requests."""

import json
import shutil
from datetime import date, timedelta

import pytest

from copernicus_dataspace.errors import ServiceUnavailableError
from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import (
    DAY,
    INGEST,
    Ingests,
    held,
    states,
    stem,
)

FIRST = DAY - timedelta(days=400)
"""Older than what is remembered day by day."""
OLD_DAYS = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=30)]
LATER = DAY + timedelta(days=7)


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def on(day, **changes):
    return lake_product(sensed=f"{day}T08:36:01.024Z", **changes)


def by_hand(ingest, **asked):
    return ingest(make_context(run_id="manual__1", run_type="manual"), **asked)


@pytest.fixture
def archive(connected, ingest, ingests):
    """Return the products of an archive that was looked at as a whole; two are of its first day."""
    products = [connected.add(on(day)) for day in OLD_DAYS]
    products.append(connected.add(on(FIRST, platform="B")))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    for day in OLD_DAYS:
        ingest(make_context(f"{day}"))
    assert ingests.reconcile()["report"]["counts"] == {"present": 4}
    return products


def a_week_later(connected, ingests):
    connected.now = f"{LATER + timedelta(days=1)}T00:00:00Z"
    return ingests.reconcile(LATER)


def folder_of(ingests, product):
    (folder,) = ingests.output.glob(f"bands/*/*/*/*/{stem(product)}")
    return folder


def lose_folder(ingests, product):
    shutil.rmtree(folder_of(ingests, product))


def lose_day(ingests, product):
    shutil.rmtree(folder_of(ingests, product).parent)


def lose_year(ingests, product):
    shutil.rmtree(folder_of(ingests, product).parents[2])


def lose_all(ingests, _):
    shutil.rmtree(ingests.output / "bands")


def lose_item(ingests, product):
    (folder_of(ingests, product) / "item.json").unlink()


def cut_item(ingests, product):
    item = folder_of(ingests, product) / "item.json"
    item.write_bytes(item.read_bytes()[:-20])


def empty_item(ingests, product):
    (folder_of(ingests, product) / "item.json").write_bytes(b"")


def spoil_item(ingests, product):
    (folder_of(ingests, product) / "item.json").write_bytes(b"null")


HARMS = [lose_folder, lose_item, cut_item, empty_item, spoil_item, lose_day, lose_year, lose_all]


@pytest.mark.parametrize(
    ("harm", "which"), [*((harm, 0) for harm in HARMS), (lose_day, 1), (cut_item, 1), (lose_day, 2)]
)
def test_what_is_lost_with_its_item_is_found_and_fetched(connected, ingests, archive, harm, which):
    before = held(ingests.output)
    harm(ingests, archive[which])
    settled = a_week_later(connected, ingests)
    assert states(settled)[stem(archive[which])] == ("missing", "present")
    assert {state for state, _ in states(settled).values()} == {"missing"}
    assert held(ingests.output) == before
    assert settled["report"]["requests"] == 1
    assert settled["report"]["looked_at"] >= 401
    again = ingests.reconcile(LATER + timedelta(days=7))
    assert again["report"]["counts"] == {"present": 4}


def test_a_whole_look_is_one_request_whatever_is_awaited(connected, ingests, archive):
    for number in range(20):
        connected.add(on(FIRST + timedelta(days=40 + 9 * number), online=False))
    settled = a_week_later(connected, ingests)
    assert settled["report"]["counts"] == {"present": 4, "offline": 20}
    assert settled["report"]["requests"] == 1
    lose_folder(ingests, archive[0])
    connected.now = f"{LATER + timedelta(days=8)}T00:00:00Z"
    settled = ingests.reconcile(LATER + timedelta(days=7))
    assert settled["report"]["counts"] == {"present": 3, "offline": 20, "missing": 1}
    assert settled["report"]["requests"] == 1


def test_what_was_deleted_upstream_costs_one_request_more(connected, ingests, archive):
    for product in (archive[0], archive[2]):
        connected.remove(product.id, "Corrupted product")
    settled = a_week_later(connected, ingests)
    assert settled["report"]["requests"] == 2
    assert {state for state, _ in states(settled).values()} == {"withdrawn"}
    assert held(ingests.output) == sorted(map(stem, (archive[1], archive[3])))


def test_a_day_by_hand_is_found_lost_and_the_years_since_are_not_fetched(
    connected, ingest, ingests
):
    product, other = connected.add(on("2022-05-01")), connected.add(on("2023-05-01"))
    by_hand(ingest, first_day="2022-05-01")
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    assert ingests.reconcile()["report"]["looked_at"] == 31
    lose_day(ingests, product)
    settled = a_week_later(connected, ingests)
    assert states(settled) == {stem(product): ("missing", "present")}
    assert settled["report"]["looked_at"] == 31
    assert settled["report"]["requests"] == 1
    assert stem(other) not in held(ingests.output)


def test_the_days_looked_at_are_remembered_in_few_words(connected, ingest, ingests):
    connected.add(on("2022-05-01"))
    by_hand(ingest, first_day="2022-05-01")
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingests.reconcile()
    history = json.loads((ingests.output / "reports" / INGEST / "chronicle.json").read_text())
    assert history["survey"] == {
        "at": f"{DAY + timedelta(days=1)}T00:00:00+00:00",
        "product_type": "S2MSI2A",
        "days": [["2022-05-01", "2022-05-01"]],
    }


def test_a_chronicle_that_was_written_before_tells_of_its_days(connected, ingest, ingests):
    day = DAY - timedelta(days=100)
    product = connected.add(on(day))
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingest(make_context(f"{day}"))
    ingests.reconcile()
    path = ingests.output / "reports" / INGEST / "chronicle.json"
    history = json.loads(path.read_text())
    at = history["survey"]["at"]
    survey = {"at": at, "listed_at": at, "question": "0", "awaited": [], "unlisted": []}
    path.write_text(json.dumps({**history, "survey": survey}))
    lose_day(ingests, product)
    settled = a_week_later(connected, ingests)
    assert states(settled) == {stem(product): ("missing", "present")}


def test_another_product_type_is_not_fetched_of_all_days(connected, ingests, archive):
    for day in OLD_DAYS:
        connected.add(on(day, level="L1C"))
    ingests.write(product_type="S2MSI1C", bands=["B02"])
    settled = a_week_later(connected, ingests)
    assert (settled["report"]["looked_at"], settled["report"]["counts"]) == (30, {})
    assert held(ingests.output) == sorted(map(stem, archive))


@pytest.mark.parametrize("days", [["0001-01-01", "2030-01-01"], ["2024-07-30", "9999-12-30"]])
def test_days_before_the_mission_and_days_to_come_are_not_looked_at(
    connected, ingests, archive, days
):
    path = ingests.output / "reports" / INGEST / "chronicle.json"
    history = json.loads(path.read_text())
    history["survey"]["days"] = [days]
    path.write_text(json.dumps(history))
    settled = a_week_later(connected, ingests)
    assert settled["report"]["counts"] == {"present": 4}
    assert settled["report"]["first_day"] in ("2015-06-23", f"{FIRST}")
    assert settled["report"]["last_day"] == f"{LATER}"


@pytest.mark.parametrize("left", [0, 1])
def test_a_catalogue_that_suddenly_knows_nothing_stops_the_weekly_look(
    connected, ingest, ingests, left
):
    products = [connected.add(on(FIRST + timedelta(days=n))) for n in range(12)]
    last = FIRST + timedelta(days=11)
    by_hand(ingest, first_day=f"{FIRST}", last_day=f"{last}")
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    ingests.reconcile()
    everything = {path: path.read_bytes() for path in ingests.output.rglob("*.json")}
    for product in products[left:]:
        connected._listed.remove(product.id)
    with pytest.raises(ServiceUnavailableError, match=f"{12 - left} of 12 held products"):
        a_week_later(connected, ingests)
    assert {path: path.read_bytes() for path in ingests.output.rglob("*.json")} == everything


def test_all_days_of_a_backfill_are_seen_again_though_its_first_and_last_are_lost(
    connected, ingest, ingests
):
    days = [date(2021, 1, 1) + timedelta(days=30 * n) for n in range(4)]
    products = [connected.add(on(day)) for day in days]
    connected.now = f"{DAY + timedelta(days=1)}T00:00:00Z"
    for day in days:
        ingest(make_context(f"{day}", run_id=f"backfill__{day}", run_type="backfill"))
    ingests.reconcile()
    for product in (products[0], products[-1]):
        lose_day(ingests, product)
    settled = a_week_later(connected, ingests)
    assert set(states(settled).values()) == {("missing", "present")}
    assert len(states(settled)) == 2


@pytest.mark.parametrize("harm", [lose_folder, lose_day, lose_year, lose_all, cut_item])
def test_what_a_backfill_delivered_and_lost_between_two_looks_is_found(
    connected, ingest, ingests, archive, harm
):
    day = FIRST - timedelta(days=300)
    product = connected.add(on(day))
    ingest(make_context(f"{day}", run_id="years", run_type="backfill"))
    before = held(ingests.output)
    harm(ingests, product)
    settled = a_week_later(connected, ingests)
    assert states(settled)[stem(product)] == ("missing", "present")
    assert held(ingests.output) == before
    assert settled["report"]["requests"] == 1


def test_days_that_only_another_ingest_was_delivered_are_not_looked_at(
    connected, ingest, ingests, archive
):
    day = FIRST - timedelta(days=300)
    connected.add(on(day))
    ingest(make_context(f"{day}", dag_id="another", run_id="another"))
    settled = a_week_later(connected, ingests)
    assert settled["report"]["first_day"] == f"{FIRST}"
