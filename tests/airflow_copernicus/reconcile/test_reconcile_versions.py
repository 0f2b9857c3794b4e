"""Which version of an acquisition a reconcile fetches, keeps and takes out."""

from dataclasses import replace

import pytest

from tests.airflow_copernicus.conftest import lake_product, make_context
from tests.airflow_copernicus.reconcile.test_reconcile import Ingests, held, states, stem


@pytest.fixture
def ingests(tmp_path, ingest):
    return Ingests.below(tmp_path, ingest)


def relist(connected, product, *, online):
    connected._listed.remove(product.id)
    connected._offered(replace(product, facts=replace(product.facts, online=online)))


@pytest.mark.parametrize("older", ["05.10", "99.99"])
def test_an_older_version_is_fetched_while_the_newer_is_offline_and_goes_once_it_is_not(
    connected, ingests, older
):
    old = connected.add(lake_product(baseline=older))
    new = connected.add(lake_product(online=False))
    settled = ingests.reconcile()
    assert states(settled) == {
        stem(old): ("missing", "present"),
        stem(new): ("offline", "missing"),
    }
    assert settled["missing"] == []
    assert states(ingests.reconcile()) == {stem(new): ("offline", "missing")}
    assert held(ingests.output) == [stem(old)]
    relist(connected, new, online=True)
    settled = ingests.reconcile()
    assert states(settled) == {stem(new): ("missing", "present"), stem(old): ("superseded", "gone")}
    assert held(ingests.output) == [stem(new)]


def test_what_is_held_stays_though_it_went_offline_and_an_older_one_did_not(
    connected, ingest, ingests
):
    new = connected.add(lake_product())
    ingest()
    connected.add(lake_product(baseline="05.10"))
    relist(connected, new, online=False)
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"present": 1}
    assert settled["repairs"] == []
    assert held(ingests.output) == [stem(new)]


@pytest.mark.parametrize("other", ["99.99", "99.05", "99.06"])
@pytest.mark.parametrize("right", ["05.00", "05.11"])
def test_an_unofficial_baseline_removes_nothing_and_goes_for_a_regular_one(
    connected, ingest, ingests, right, other
):
    regular = connected.add(lake_product(baseline=right))
    ingest()
    late = "2024-09-01T00:00:00Z"
    unofficial = connected.add(lake_product(baseline=other, generation=late, published=late))
    settled = ingests.reconcile()
    assert settled["report"]["counts"] == {"present": 1}
    assert held(ingests.output) == [stem(regular)]
    ingest(make_context(run_id="manual__1", run_type="manual"), versions="all")
    assert held(ingests.output) == sorted([stem(regular), stem(unofficial)])
    assert states(ingests.reconcile()) == {stem(unofficial): ("superseded", "gone")}
    assert held(ingests.output) == [stem(regular)]


def _wide(share, **facts):
    """Return a product that shows so much of its tile."""
    west, south, north = 33.9, 40.6, 41.5
    east = west + 1.2 * share
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return lake_product(footprint={"type": "Polygon", "coordinates": [ring]}, **facts)


@pytest.mark.parametrize(("share", "is_gone"), [(0.82, False), (0.985, False), (0.995, True)])
def test_only_what_shows_the_same_ground_takes_a_place(connected, ingest, ingests, share, is_gone):
    old = connected.add(_wide(1))
    ingest()
    made = {"baseline": "05.12", "generation": "2024-09-01T00:00:00Z"}
    new = connected.add(_wide(share, **made))
    settled = ingests.reconcile()
    assert held(ingests.output) == sorted([stem(new)] if is_gone else [stem(old), stem(new)])
    assert settled["missing"] == []


def test_an_empty_row_of_the_same_name_makes_nothing_red(connected, ingest, ingests):
    made = {"generation": "2024-08-01T11:00:00Z"}
    good = connected.add(lake_product(published="2024-08-01T12:00:00Z", seed=1, **made))
    connected.add(
        lake_product(
            published="2024-08-01T20:00:00Z", seed=2, checksum="none", content=False, **made
        )
    )
    assert states(ingests.reconcile()) == {stem(good): ("missing", "present")}
    settled = ingests.reconcile()
    assert (settled["report"]["counts"], settled["missing"]) == ({"present": 1}, [])
